"""Journeys over HTTP under the documents' paths (WF-14): start, action, status. Parse, one transaction, one command.

An action whose step is sync waits for the outcome for a while, outside any transaction; what takes longer is 202 with the
address of the status. Whose journey it is says the token: somebody else's is not found.
"""

import asyncio
import time
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from api.conditions import etag, if_match
from api.door import DoorRequest, json_answer
from api.onboarding_inputs import ActionBody, InstanceId, StartBody
from api.problems import Problem
from api.transactions import transaction
from domain.onboarding import reads, refusals
from domain.onboarding.actors import actors_of_roles
from domain.onboarding.commands import give, warm
from domain.onboarding.engine import Engine
from domain.onboarding.flow import FlowKey
from domain.onboarding.instance import Instance
from runtime.ids import uuid7
from runtime.sql import Connection
from schemas.errors import NotFound, Rejected
from schemas.onboarding import Advance, StartInstance

PATH = "/api/onboarding"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.05


async def start_onboarding(request: DoorRequest, body: StartBody) -> Response:
    """Begin a journey on the newest version of its flow, which it keeps."""
    engine, caller = engine_of(request), request.caller()
    user_id = body.user_id or caller.user_id
    if body.data is not None:
        await warm(engine.keys, caller.tenant_id, user_id)

    async def effect(conn: Connection) -> Response:
        version = await engine.flows.newest(conn, caller.tenant_id, body.flow)
        if version is None:
            return request.refuse(refusals.unknown_flow(body.flow, 0))
        command = StartInstance(instance_id=str(uuid7()), flow=body.flow, flow_version=version, user_id=user_id, data=body.data)
        outcome = await give(conn, engine, caller, command)
        if isinstance(outcome, Rejected):
            return request.refuse(outcome)
        return _answer(outcome.instance, "Onboarding started successfully", 201)

    return await request.in_transaction(effect, key_required=False)


async def act_on_onboarding(request: DoorRequest, instance_id: InstanceId, body: ActionBody) -> Response:
    """Take an action. Without an Idempotency-Key or an expected version the same action sent again is another step."""
    matched, engine, caller = if_match(request), engine_of(request), request.caller()
    if matched is not None and body.expected_version not in (None, matched):
        raise Problem("InvalidIfMatch", "If-Match and expectedVersion name different versions; send one of them.")
    expected = body.expected_version if matched is None else matched
    if body.data is not None:
        await warm(engine.keys, caller.tenant_id, caller.user_id)
    command = Advance(instance_id=instance_id, action=body.action, expected_version=expected, data=body.data)

    async def effect(conn: Connection) -> Response:
        outcome = await give(conn, engine, caller, command)
        if isinstance(outcome, Rejected):
            return request.refuse(outcome, if_match=matched)
        return _answer(outcome.instance, "Action accepted", 202 if outcome.instance.current else 200)

    answer = await request.in_transaction(effect, key_required=False)
    if answer.status_code != 202:
        return answer
    ended = await _outcome(request, instance_id)
    if ended is None:
        return answer
    if (replayed := answer.headers.get("idempotency-replayed")) is not None:
        ended.headers["Idempotency-Replayed"] = replayed
    return ended


async def get_onboarding_status(request: DoorRequest, instance_id: InstanceId) -> Response:
    """Where the journey stands, and what its owner can do next."""

    async def effect(conn: Connection) -> Response:
        instance = await _mine(conn, request, instance_id)
        if instance is None:
            return request.refuse(refusals.not_found(instance_id))
        return _status(instance, await _next_actions(conn, request, instance))

    return await request.in_transaction(effect)


async def _outcome(request: DoorRequest, instance_id: str) -> Response | None:
    """The answer once no step is under way; None when that takes too long."""
    deadline, pause = time.monotonic() + request.door.settings.onboarding.wait_seconds, _FIRST_PAUSE
    while time.monotonic() < deadline:
        async with transaction(request.door.pool, request.principal.tenant_id) as conn:
            instance = await _mine(conn, request, instance_id)
            if instance is None or await _is_async(conn, request, instance):
                return None
        if instance.current is None:
            return _answer(instance, "Action completed", 200)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    return None


async def _is_async(conn: Connection, request: DoorRequest, instance: Instance) -> bool:
    """Whether the step under way is none that a caller is told the outcome of."""
    step = instance.step
    if step is None:
        return False
    key = (instance.tenant_id, FlowKey(instance.flow, instance.flow_version))
    flow = (await engine_of(request).flows.read(conn, [key])).get(key)
    move = flow.moves.get((step.state, step.action)) if flow else None
    return step.status != "running" or move is None or move.mode == "async"


async def _mine(conn: Connection, request: DoorRequest, instance_id: str) -> Instance | None:
    """The instance, if the caller owns it or is more than a customer."""
    who = request.principal
    try:
        instance = await reads.get_folded(conn, who.tenant_id, instance_id)
    except NotFound:
        return None
    others = actors_of_roles(who.roles) - {"USER"} or "viewer" in who.roles
    return instance if instance.user_id == who.user_id or others else None


async def _next_actions(conn: Connection, request: DoorRequest, instance: Instance) -> list[str]:
    if not instance.waits:
        return []
    key = (instance.tenant_id, FlowKey(instance.flow, instance.flow_version))
    flow = (await engine_of(request).flows.read(conn, [key])).get(key)
    actors = actors_of_roles(request.principal.roles)
    if instance.user_id != request.principal.user_id:
        actors = actors - {"USER"}
    return list(flow.actions(instance.state, actors)) if flow else []


def engine_of(request: DoorRequest) -> Engine:
    """What moves instances in this process."""
    door = request.door
    if door.keys is None:
        raise Problem("TemporarilyUnavailable", "This process has no keys, so it takes no data about persons.")
    return Engine(door.outbox, door.keys, door.flows, door.case_classes, door.code_versions)


def _answer(instance: Instance, message: str, status: int) -> Response:
    headers = {"ETag": etag(instance.version)}
    if status in (201, 202):
        headers["Location"] = f"{PATH}/{quote(instance.id, safe='')}/status"
    return json_answer({**_view(instance), "message": message}, status, headers)


def _status(instance: Instance, actions: list[str]) -> Response:
    view = {
        **_view(instance),
        "flow": instance.flow,
        "flowVersion": instance.flow_version,
        "startedAt": instance.started_at,
        "expiresAt": instance.expires_at,
        "endedAt": instance.ended_at,
        "nextActions": actions,
    }
    return json_answer(view, headers={"ETag": etag(instance.version)})


def _view(instance: Instance) -> dict[str, Any]:
    return {
        "instanceId": instance.id,
        "currentState": instance.state,
        "status": instance.status,
        "version": instance.version,
    }
