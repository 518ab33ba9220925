"""A user's own notifications: pages, how many are unread, and that he has read them. Nobody sees another one's."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.notifications.performing import queries
from runtime.sql import Connection
from schemas.errors import NotFound

# Nobody reads larger numbers, and counting them would take long.
MOST_COUNTED = 1_000
_BATCH = 5_000


async def list_notifications(
    conn: Connection,
    tenant_id: str,
    user_id: str,
    *,
    unread_only: bool = False,
    after: tuple[datetime, UUID] | None = None,
    page_size: int = 50,
) -> list[dict[str, Any]]:
    """One page, newest first; `after` is the last one seen."""
    rows = await queries.list_notifications(
        conn,
        tenant_id=tenant_id,
        user_id=user_id,
        unread_only=unread_only,
        before_time=after[0] if after else None,
        before_id=after[1] if after else None,
        page_size=page_size,
    )
    return [dict(row) for row in rows]


async def count_unread(conn: Connection, tenant_id: str, user_id: str) -> int:
    """How many are unread; MOST_COUNTED stands for so many and more."""
    return int(await queries.count_unread(conn, tenant_id=tenant_id, user_id=user_id, most=MOST_COUNTED))


async def mark_read(conn: Connection, tenant_id: str, user_id: str, notification_id: UUID) -> Mapping[str, Any]:
    """The notification, read; one that was read already keeps its time. Raises NotFound, for another user's too."""
    row = await queries.mark_read(conn, tenant_id=tenant_id, user_id=user_id, notification_id=notification_id)
    if row is None:
        raise NotFound(f"notification {notification_id} not found")
    return dict(row)


async def mark_all_read(conn: Connection, tenant_id: str, user_id: str) -> int:
    """How many were unread until now; at most so many that the transaction stays short."""
    return int(await queries.mark_all_read(conn, tenant_id=tenant_id, user_id=user_id, most=_BATCH))
