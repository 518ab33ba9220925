"""What operators see of onboarding, under the document's paths (WF-15): dashboard, list, details, timeline, graph, replay.

Only the caller's tenant, and nothing that a person said. No page reads more than it shows.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from api import answers
from api.door import DoorRequest, json_answer
from api.inputs import Cursor, Limit
from api.onboarding import engine_of
from api.onboarding_admin_inputs import Direction, FlowVersion, Form, OfFlow, OfUser, Page, Size, refuse_deep
from api.onboarding_inputs import InstanceId
from api.problems import Problem
from api.views import Position, Row, answer_page, view_of
from domain.audit import append
from domain.onboarding import overview, reads
from domain.onboarding.detail import detail_of
from domain.onboarding.flow import FlowKey
from domain.onboarding.flows.drawing import as_svg
from domain.onboarding.flows.graph import arrows, as_mermaid, notes
from domain.onboarding.performing import OBJECT
from domain.onboarding.replaying import Checked, gather, judge
from runtime.sql import Connection
from schemas.errors import NotFound
from schemas.flows import FlowDefinition
from schemas.workflow_events import Status

PATH = "/admin/onboarding"
REPLAY = "/admin/replay"
# A history of more events is replayed on the command line: it would keep this process for longer than a request may last.
LONGEST_REPLAY = 20_000


async def onboarding_dashboard(request: DoorRequest) -> Response:
    """What is under way and where, what ended within a day, recoveries and incidents per hour."""

    async def effect(conn: Connection) -> Response:
        return _shown(answers.OnboardingDashboard, await overview.dashboard(conn, request.principal.tenant_id))

    return await request.in_transaction(effect)


async def list_onboarding(
    request: DoorRequest, status: Status | None = None, user_id: OfUser = None, page: Page = 0, size: Size = 20
) -> Response:
    """The tenant's instances, newest first."""
    refuse_deep(page, size)

    async def effect(conn: Connection) -> Response:
        narrowed = {"status": status, "user_id": user_id}
        rows = await reads.list_instances(conn, request.principal.tenant_id, **narrowed, skipped=page * size, size=size + 1)
        items = [_summary(row) for row in rows[:size]]
        return json_answer({"items": items, "page": page, "size": size, "more": len(rows) > size})

    return await request.in_transaction(effect)


async def get_onboarding(request: DoorRequest, instance_id: InstanceId) -> Response:
    """One instance: where it stands, its latest attempts, what is wrong, and what can be ordered."""

    async def effect(conn: Connection) -> Response:
        detail = await detail_of(conn, request.principal.tenant_id, instance_id)
        return _shown(answers.InstanceDetail, detail, {"ETag": f'"{detail["version"]}"'})

    return await request.in_transaction(effect)


async def get_onboarding_timeline(
    request: DoorRequest, instance_id: InstanceId, order: Direction = "oldest", limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """What happened, in lanes: user, system, timer, effect, compensation."""
    newest = order == "newest"

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        tenant_id = request.principal.tenant_id
        if after is None:
            await reads.get_instance(conn, tenant_id, instance_id)
        seen = int(after[0]) if after else None
        rows = await reads.timeline(conn, tenant_id, instance_id, after=seen, size=size + 1, newest=newest)
        return rows[:size], (str(rows[size - 1]["number"]),) if len(rows) > size else None

    return await answer_page(request, cursor=cursor, limit=limit, filters={"order": order}, read=read, view=dict)


async def get_onboarding_definition(
    request: DoorRequest, flow_version: FlowVersion, flow: OfFlow = "customer-onboarding", form: Form = "json"
) -> Response:
    """A version of a flow as a graph."""
    key = FlowKey(flow, int(flow_version[1:]))
    tenant_id = request.principal.tenant_id

    async def effect(conn: Connection) -> Response:
        found = (await request.door.flows.read(conn, [(tenant_id, key)])).get((tenant_id, key))
        if found is None:
            raise NotFound(f"There is no version {key.version} of flow {flow}")
        if form == "svg":
            return Response(as_svg(found.definition), media_type="image/svg+xml")
        if form == "mermaid":
            return Response(as_mermaid(found.definition), media_type="text/plain")
        return json_answer(_graph(found.definition))

    return await request.in_transaction(effect)


async def replay_onboarding(request: DoorRequest, instance_id: InstanceId) -> Response:
    """Decide the history again and name the first divergence (WF-3). Changes nothing but the audit log, runs no handler."""
    flows, who = engine_of(request).flows, request.principal
    found: list[Any] = []

    async def effect(conn: Connection) -> Response:
        row = await reads.get_instance(conn, who.tenant_id, instance_id)
        if row["version"] > LONGEST_REPLAY:
            raise Problem(
                "HistoryTooLong",
                f"It has {row['version']} events, and a request replays {LONGEST_REPLAY}: use casestream instance replay.",
            )
        named = {"tenant_id": who.tenant_id, "object_type": OBJECT, "object_id": instance_id}
        await append(conn, **named, actor=who.user_id, action="onboarding.replay", detail={"version": row["version"]})
        found.append(await gather(conn, flows, who.tenant_id, instance_id))
        return Response()

    await request.in_transaction(effect)
    # Beside the loop, which has others to serve meanwhile.
    return json_answer(_replayed(await asyncio.to_thread(judge, found[0])))


def _replayed(checked: Checked) -> dict[str, Any]:
    replayed, instance = checked.replayed, checked.replayed.instance
    return {
        "instanceId": checked.instance_id,
        "sound": checked.sound,
        "events": replayed.events,
        "decisions": replayed.decisions,
        "status": instance.status if instance else None,
        "currentState": instance.state if instance else None,
        "rowDiffers": checked.row_differs,
        "divergence": asdict(replayed.divergence) if replayed.divergence else None,
    }


def _graph(definition: FlowDefinition) -> dict[str, Any]:
    said = dict(notes(definition))
    nodes = [
        {"name": state.name, "initial": state.name == definition.initial, "end": state.end, "notes": said.get(state.name)}
        for state in definition.states
    ]
    return {
        "flow": definition.flow,
        "version": definition.version,
        "title": definition.title,
        "nodes": nodes,
        "edges": [asdict(arrow) for arrow in arrows(definition)],
        "mermaid": as_mermaid(definition),
    }


def _shown(model: type[BaseModel], content: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return json_answer(model.model_validate(content).model_dump(by_alias=True), headers=headers)


_summary = view_of(answers.InstanceSummary)
