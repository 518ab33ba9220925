"""What a shred deletes of notifications: all that tell of the subject."""

from collections.abc import Mapping

from domain.keys.purge import Purger
from domain.notifications.performing import queries
from runtime.sql import Connection

_TABLE = "public.notifications"
_BATCH = 500


async def _purge(conn: Connection, tenant: str, subject: str) -> Mapping[str, int]:
    return {_TABLE: await queries.delete_of_subject(conn, tenant_id=tenant, subject_id=subject, most=_BATCH)}


NOTIFICATIONS = Purger("notifications", (_TABLE,), _purge, unguarded=True)
