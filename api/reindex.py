"""Rebuilds of table versions over HTTP (UC-04, CD-13): order, watch, cancel, resume, compare, switch.

Tables belong to the installation: a rebuild is of all tenants, so its role is the installation's, not a tenant's admin's.
Each operation only leaves an order; the processes of the role `projections` carry it out.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import Path
from pydantic import Field, StrictBool, StrictInt
from starlette.responses import Response, StreamingResponse

from api import answers
from api.door import DoorRequest, json_answer
from api.inputs import Cursor, Input, Limit
from api.transactions import transaction
from api.views import Position, Row, answer_page, view_of
from domain.rebuilds import commands
from domain.rebuilds.commands import Person, Wish
from domain.rebuilds.decisions import OPEN, progress_of
from runtime.sql import Connection
from schemas.errors import NotFound, Rejected, TransientError
from schemas.models import TenantId, Text

PATH = "/api/v1/reindex"
EVENT_SECONDS = 1.0
# Proxies end what is silent or endless; a client asks again and goes on.
STREAM_SECONDS = 600.0

RebuildId = Annotated[UUID, Path(description="Id of the rebuild")]
TableName = Annotated[Text, Field(max_length=63, pattern=r"^[a-z][a-z0-9_]*$", examples=["case_plain_order_case"])]
Reason = Annotated[Text, Field(max_length=1_000)]


class NewRebuild(Input):
    """Which table is made anew, and from what. `rate`: snapshots per second at most; `tenantId`: a trial of one tenant."""

    name: TableName
    source: Literal["topic", "store"] = "topic"
    tenant_id: TenantId | None = None
    rate: Annotated[StrictInt, Field(ge=1, le=1_000_000)] | None = None
    workers: Annotated[StrictInt, Field(ge=1, le=32)] = 1
    reason: Reason = ""


class WithReason(Input):
    """Why; kept in the audit log."""

    reason: Reason = ""


class Comparison(Input):
    """With which version (the one that is shown when absent), or `whole`: with what the store says."""

    against: Annotated[StrictInt, Field(ge=1, le=2**31 - 1)] | None = None
    whole: StrictBool = False


async def order_rebuild(request: DoorRequest, body: NewRebuild) -> Response:
    """Make a table anew as its next version, beside the one that is shown. The answer says where to watch."""
    wish = Wish(body.name, body.source, body.tenant_id, body.rate, body.workers, reason=body.reason)

    async def effect(conn: Connection) -> Response:
        row = await commands.order_rebuild(conn, _person(request), wish)
        if isinstance(row, Rejected):
            return request.refuse(row)
        return json_answer(_view(row), 202, {"Location": f"{PATH}/{row['rebuild_id']}"})

    return await request.in_transaction(effect, key_required=False)


async def list_rebuilds(request: DoorRequest, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Rebuilds, newest first."""

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        seen = (datetime.fromisoformat(after[0]), UUID(after[1])) if after else None
        rows = await commands.list_rebuilds(conn, after=seen, most=size + 1)
        if len(rows) <= size:
            return rows, None
        last = rows[size - 1]
        return rows[:size], (last["ordered_at"].isoformat(), str(last["rebuild_id"]))

    return await answer_page(request, cursor=cursor, limit=limit, filters={}, read=read, view=_view)


async def show_rebuild(request: DoorRequest, rebuild_id: RebuildId) -> Response:
    """One rebuild with its progress, and what was ordered about its version."""

    async def effect(conn: Connection) -> Response:
        row = await commands.find_rebuild(conn, rebuild_id)
        orders = [] if row["version"] is None else await commands.list_orders(conn, row["name"], row["version"])
        return json_answer({**_view(row), "orders": [_order_view(order) for order in orders]})

    return await request.in_transaction(effect)


async def watch_rebuild(request: DoorRequest, rebuild_id: RebuildId) -> Response:
    """The rebuild's progress as server-sent events, one a second, until it ends (or ten minutes; then ask again)."""

    async def exists(conn: Connection) -> Response:
        return json_answer(_view(await commands.find_rebuild(conn, rebuild_id)))

    # A missing one is answered as a problem, before the stream begins.
    await request.in_transaction(exists)
    return StreamingResponse(
        _progress(request, rebuild_id),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _progress(request: DoorRequest, rebuild_id: UUID) -> AsyncIterator[bytes]:
    """Each look is a transaction of its own: a stream holds no connection between its events."""
    clock = asyncio.get_running_loop().time
    end = clock() + STREAM_SECONDS
    last: dict[str, Any] = {}
    while clock() < end:
        try:
            async with transaction(request.door.pool, request.principal.tenant_id) as conn:
                view = _view(await commands.find_rebuild(conn, rebuild_id))
        except (TransientError, NotFound):
            # The database is away for a moment: a comment keeps the line open.
            yield b": waiting\n\n"
        else:
            if view != last:
                last = view
                yield b"event: progress\ndata: " + orjson.dumps(view, option=orjson.OPT_UTC_Z, default=str) + b"\n\n"
            else:
                yield b": unchanged\n\n"
            if view["state"] not in OPEN:
                yield b"event: end\ndata: {}\n\n"
                return
        await asyncio.sleep(EVENT_SECONDS)


async def cancel_rebuild(request: DoorRequest, rebuild_id: RebuildId, body: WithReason) -> Response:
    """Give the rebuild up; what readers see does not change."""
    return await _moved(request, lambda conn: commands.cancel_rebuild(conn, _person(request), rebuild_id, body.reason))


async def resume_rebuild(request: DoorRequest, rebuild_id: RebuildId, body: WithReason) -> Response:
    """Go on with a paused rebuild: its errors until now are forgiven."""
    return await _moved(request, lambda conn: commands.resume_rebuild(conn, _person(request), rebuild_id, body.reason))


async def _moved(request: DoorRequest, move: Callable[[Connection], Awaitable[commands.Row | Rejected]]) -> Response:
    async def effect(conn: Connection) -> Response:
        row = await move(conn)
        return request.refuse(row) if isinstance(row, Rejected) else json_answer(_view(row))

    return await request.in_transaction(effect, key_required=False)


async def verify_rebuild(request: DoorRequest, rebuild_id: RebuildId, body: Comparison) -> Response:
    """Compare the rebuilt version with the one that is shown, or with the store."""
    return await _ordered(
        request,
        rebuild_id,
        lambda conn, name, version: commands.order_verify(
            conn, _person(request), name, version, against=body.against, whole=body.whole
        ),
    )


async def switch_rebuild(request: DoorRequest, rebuild_id: RebuildId, body: WithReason) -> Response:
    """Let the view show the rebuilt version: needs an equal comparison of the last hour, or a reason."""
    return await _ordered(
        request,
        rebuild_id,
        lambda conn, name, version: commands.order_switch(conn, _person(request), name, version, body.reason),
    )


async def switch_back_rebuild(request: DoorRequest, rebuild_id: RebuildId, body: WithReason) -> Response:
    """Let the view show the version that it showed before this one."""
    return await _ordered(
        request, rebuild_id, lambda conn, name, _: commands.order_switch_back(conn, _person(request), name, body.reason)
    )


async def retire_rebuild(request: DoorRequest, rebuild_id: RebuildId, body: WithReason) -> Response:
    """Drop the rebuilt version, which is not shown."""
    return await _ordered(
        request,
        rebuild_id,
        lambda conn, name, version: commands.order_retire(conn, _person(request), name, version, body.reason),
    )


async def _ordered(
    request: DoorRequest,
    rebuild_id: UUID,
    order: Callable[[Connection, str, int], Awaitable[commands.Row | Rejected]],
) -> Response:
    async def effect(conn: Connection) -> Response:
        row = await commands.find_rebuild(conn, rebuild_id)
        if row["version"] is None:
            return request.refuse(Rejected("VersionNotReady", "the rebuild has no version yet", {"state": row["state"]}))
        found = await order(conn, row["name"], row["version"])
        if isinstance(found, Rejected):
            return request.refuse(found)
        return json_answer(_order_view(found), 202, {"Location": f"{PATH}/{rebuild_id}"})

    return await request.in_transaction(effect, key_required=False)


def _person(request: DoorRequest) -> Person:
    return Person(request.principal.user_id, request.principal.tenant_id)


def _view(row: Row) -> dict[str, Any]:
    progress = progress_of(row["state"], row["applied"], row["total"], row["speed"])
    return {
        **_columns(row),
        "perSecond": row["speed"],
        "percent": progress.percent,
        "etaSeconds": progress.eta_seconds,
    }


def _order_view(row: Row) -> dict[str, Any]:
    return {**_order_columns(row), "report": json.loads(row["report"]) if isinstance(row["report"], str) else row["report"]}


_columns = view_of(answers.RebuildView)
_order_columns = view_of(answers.OrderView)
