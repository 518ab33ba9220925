"""The caller's own notifications over HTTP. There is no way to ask for somebody else's."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from starlette.responses import Response

from api import answers
from api.door import DoorRequest, json_answer
from api.inputs import Cursor, Limit
from api.outgoing_inputs import NotificationId
from api.views import Position, Row, answer_page, view_of
from domain.notifications import reads
from runtime.sql import Connection


async def list_notifications(request: DoorRequest, unread: bool = False, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """The caller's notifications, newest first; with `unread` those only."""
    who = request.principal

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        seen = (datetime.fromisoformat(after[0]), UUID(after[1])) if after else None
        rows = await reads.list_notifications(
            conn, who.tenant_id, who.user_id, unread_only=unread, after=seen, page_size=size + 1
        )
        last = rows[size - 1] if len(rows) > size else None
        return rows[:size], (last["created_at"].isoformat(), str(last["notification_id"])) if last else None

    async def count(conn: Connection) -> Mapping[str, Any]:
        return {"unreadCount": await reads.count_unread(conn, who.tenant_id, who.user_id)}

    filters = {"unread": "true" if unread else None}
    return await answer_page(request, cursor=cursor, limit=limit, filters=filters, read=read, view=_view, beside=count)


async def read_notification(request: DoorRequest, notification_id: NotificationId) -> Response:
    """Mark one as read; one that was read already stays as it is."""
    who = request.principal

    async def effect(conn: Connection) -> Response:
        return json_answer(_view(await reads.mark_read(conn, who.tenant_id, who.user_id, notification_id)))

    return await request.in_transaction(effect)


async def read_all_notifications(request: DoorRequest) -> Response:
    """Mark everything as read that the caller has now, the oldest 5,000 at once."""
    who = request.principal

    async def effect(conn: Connection) -> Response:
        read = await reads.mark_all_read(conn, who.tenant_id, who.user_id)
        return json_answer({"readCount": read, "unreadCount": await reads.count_unread(conn, who.tenant_id, who.user_id)})

    return await request.in_transaction(effect)


_view = view_of(answers.NotificationView)
