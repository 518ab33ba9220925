"""From rows to answers: columns become the camelCase fields of an answer's model; pages get their cursor and Link."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from api.door import DoorRequest, json_answer
from api.pages import binding, next_link
from runtime.sql import Connection

Row = Mapping[str, Any]
View = Callable[[Row], dict[str, Any]]
Position = Sequence[str]
ReadPage = Callable[[Connection, Position | None, int], Awaitable[tuple[Sequence[Row], Position | None]]]


def view_of(model: type[BaseModel], **columns: str) -> View:
    """Copies a row's columns to the model's wire names; `field=column` where they differ; what a row lacks is left out."""
    names = [(columns.get(name, name), field.alias or name) for name, field in model.model_fields.items()]

    def view(row: Row) -> dict[str, Any]:
        return {wire: row[column] for column, wire in names if column in row}

    return view


async def answer_page(
    request: DoorRequest,
    *,
    cursor: str | None,
    limit: int,
    filters: Mapping[str, str | None],
    read: ReadPage,
    view: View,
    beside: Callable[[Connection], Awaitable[Mapping[str, Any]]] | None = None,
) -> Response:
    """One page of a list, read in the caller's tenant; `read` takes the position to begin after and the page's size.
    `beside` adds members to the answer."""
    size = min(limit, request.door.settings.http.page_limit)
    set_filters = {name: value for name, value in filters.items() if value is not None}
    bound_to = binding(request.principal.tenant_id, request.url.path, set_filters)
    after = request.door.cursors.read(bound_to, cursor)

    async def effect(conn: Connection) -> Response:
        rows, following = await read(conn, after, size)
        token = request.door.cursors.write(bound_to, following) if following else None
        headers = {"Link": next_link(request.url.path, set_filters, limit, token)} if token else None
        more = await beside(conn) if beside else {}
        return json_answer({"items": [view(row) for row in rows], "nextCursor": token, **more}, headers=headers)

    return await request.in_transaction(effect)
