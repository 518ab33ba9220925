"""What a shred removes here: the states of the subject's entities. Later events of it are not written (`batch`)."""

from collections.abc import Mapping

from domain.keys.purge import PAGE, Purger
from runtime.sql import Connection, load_queries

queries = load_queries(__file__)


async def purge_entities(conn: Connection, tenant: str, subject: str) -> Mapping[str, int]:
    """Delete a batch of the subject's entities."""
    return {"public.entity_state": await queries.delete_of_subject(conn, tenant_id=tenant, subject_id=subject, most=PAGE)}


ENTITY_STATE = Purger("entities", ("public.entity_state",), purge_entities)
