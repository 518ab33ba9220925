"""Incidents over HTTP: what an operator sees of the troubles of his tenant, and what he may do about them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from starlette.responses import Response

from api import answers
from api.door import DoorRequest, json_answer
from api.inputs import Cursor, IncidentId, Limit, Resolution
from api.views import Position, Row, answer_page, view_of
from domain.incidents.resolve import list_incidents, resolve_incidents, retry_incident, show_incident
from runtime.sql import Connection
from schemas.errors import Rejected
from schemas.models import Code


async def list_all(
    request: DoorRequest,
    state: Annotated[Literal["open", "resolved", "all"], Query()] = "open",
    kind: Code | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Incidents of the caller's tenant, latest sighting first."""
    wanted = None if state == "all" else state

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        seen = (datetime.fromisoformat(after[0]), UUID(after[1])) if after else None
        tenant = request.principal.tenant_id
        page = await list_incidents(conn, tenant_id=tenant, state=wanted, kind=kind, after=seen, page_size=size)
        return page.rows, page.next and (page.next[0].isoformat(), str(page.next[1]))

    filters = {"state": state, "kind": kind}
    return await answer_page(request, cursor=cursor, limit=limit, filters=filters, read=read, view=_view)


async def show(request: DoorRequest, incident_id: IncidentId) -> Response:
    """One incident."""

    async def effect(conn: Connection) -> Response:
        return json_answer(_view(await show_incident(conn, incident_id, tenant_id=request.principal.tenant_id)))

    return await request.in_transaction(effect)


async def resolve(request: DoorRequest, incident_id: IncidentId, body: Resolution) -> Response:
    """Close the incident with a reason, which goes to the audit log. One that is closed already stays as it is."""

    async def effect(conn: Connection) -> Response:
        who = request.principal
        await resolve_incidents(
            conn, [incident_id], resolved_by=who.user_id, resolution=body.resolution, tenant_id=who.tenant_id
        )
        return json_answer(_view(await show_incident(conn, incident_id, tenant_id=who.tenant_id)))

    return await request.in_transaction(effect, key_required=False)


async def retry(request: DoorRequest, incident_id: IncidentId) -> Response:
    """Try again what the incident is about. The trouble's end resolves it, not the attempt."""

    async def effect(conn: Connection) -> Response:
        who = request.principal
        said = await retry_incident(
            conn, incident_id, actor=who.user_id, handlers=request.door.retries, tenant_id=who.tenant_id
        )
        if isinstance(said, Rejected):
            return request.refuse(said)
        return json_answer({"incidentId": str(incident_id), "outcome": said})

    return await request.in_transaction(effect, key_required=False)


_view = view_of(answers.IncidentView)
