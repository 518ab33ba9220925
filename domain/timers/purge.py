"""A shredded subject's timers: they go, as there is nobody left for whom they could fire."""

from collections.abc import Mapping

from domain.keys.purge import Purger
from domain.timers.commands import queries
from runtime.sql import Connection

PAGE = 500


async def purge_timers(conn: Connection, tenant: str, subject: str) -> Mapping[str, int]:
    """One batch; rows by table."""
    gone: int = await queries.delete_timers(conn, tenant_id=tenant, subject_id=subject, most=PAGE)
    return {"public.timers": gone}


# Who arms does not ask the guard.
TIMERS = Purger("timers", ("public.timers",), purge_timers, unguarded=True)
