"""A shredded subject's requests and answers: emptied, whatever state their effects are in. The rows stay.

An effect whose request is gone is not called any more; whoever claims it records `erased`.
"""

from collections.abc import Mapping

from domain.effects.operating import queries
from domain.keys.purge import Purger
from runtime.sql import Connection

PAGE = 500


async def purge_effects(conn: Connection, tenant: str, subject: str) -> Mapping[str, int]:
    """One batch; rows by table."""
    emptied: int = await queries.empty_subjects_effects(conn, tenant_id=tenant, subject_id=subject, most=PAGE)
    return {"public.effects": emptied}


# Who plans does not ask the guard.
EFFECTS = Purger("effects", ("public.effects",), purge_effects, unguarded=True)
