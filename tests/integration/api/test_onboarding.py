"""Journeys over HTTP: whose they are, what a repetition and a stale view get, and an answer that waits for a sync step."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from domain.effects.wiring import Wiring
from domain.onboarding.calls import KIND, OWNER
from domain.onboarding.engine import Engine
from domain.onboarding.folding import InstanceFold
from runtime.postgres import open_pool
from runtime.settings import EffectSettings
from tests.integration.api.conftest import Served
from workers.effects.running import EffectsWorker
from workers.senders.sample_steps import HANDLERS
from workers.senders.step_python import PythonSteps

PATH = "/api/onboarding"
CUSTOMER = ("customer",)
SECRET_WORD = "canary-4711"


@contextlib.asynccontextmanager
async def working(served: Served) -> AsyncIterator[None]:
    """A worker on the same database, with the ring of the application."""
    door = served.app.state.door
    settings = served.settings.model_copy(update={"effects": EffectSettings(poll_min_ms=2, poll_max_ms=10)})
    scan, worker = await open_pool(settings, "scan", size=4), await open_pool(settings, "worker", size=6)
    wiring = Wiring(
        {OWNER: InstanceFold(Engine(door.outbox, door.keys, door.flows, door.case_classes))},
        discreet=frozenset({OWNER}),
        followed=frozenset({KIND["python"]}),
    )
    stop = asyncio.Event()
    steps = PythonSteps(HANDLERS, door.keys)
    running = asyncio.create_task(EffectsWorker(settings, scan, worker, [steps], wiring).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running
        await scan.close()
        await worker.close()


async def start(served: Served, body: dict[str, Any] | None = None, **who: Any) -> httpx.Response:
    return await served.client.post(f"{PATH}/start", json=body or {}, headers=served.headers(**{"roles": CUSTOMER, **who}))


async def act(served: Served, instance_id: str, body: dict[str, Any] | None = None, **who: Any) -> httpx.Response:
    headers = served.headers(**{"roles": CUSTOMER, "idempotency_key": str(uuid.uuid4()), **who})
    return await served.client.post(f"{PATH}/{instance_id}/action", json={"action": "NEXT", **(body or {})}, headers=headers)


@pytest.mark.requirement("WF-14", "IN-14", "trap-72")
async def test_a_customer_starts_his_own_journey_and_sees_no_other(served: Served) -> None:
    begun = await start(served)
    assert begun.status_code == 201
    assert begun.json() | {"instanceId": ""} == {
        "instanceId": "", "currentState": "PHONE_ENTERED", "status": "ACTIVE", "version": 3,
        "message": "Onboarding started successfully",
    }  # fmt: skip
    mine = begun.headers["location"]
    assert (await served.client.get(mine, headers=served.headers(CUSTOMER))).json()["nextActions"] == ["NEXT"]
    foreign = await served.client.get(mine, headers=served.headers(CUSTOMER, user="binh"))
    assert (foreign.status_code, foreign.json()["error"]) == (404, "InstanceNotFound")
    assert (await act(served, begun.json()["instanceId"], user="binh")).status_code == 404
    assert (await start(served, {"userId": "binh"})).status_code == 403
    assert (await start(served, {"userId": "an"})).status_code == 201
    assert (await start(served, {"userId": "binh"}, roles=("agent",))).status_code == 201


@pytest.mark.requirement("WF-13")
async def test_a_sync_step_is_answered_with_its_outcome_and_a_repetition_is_no_second_step(served: Served) -> None:
    instance = (await start(served, {"data": {"phone": SECRET_WORD}})).json()["instanceId"]
    async with working(served):
        done = await act(served, instance, idempotency_key="once")
        assert (done.status_code, done.json()["currentState"]) == (200, "OTP_VERIFIED")
        again = await act(served, instance, idempotency_key="once")
        assert (again.status_code, again.json()["currentState"]) == (200, "OTP_VERIFIED")
        assert "idempotency-replayed" in again.headers
    rows = await served.rows("select event_type from workflow_event where event_type = 'STEP_STARTED'")
    assert len(rows) == 1


@pytest.mark.requirement("WF-14")
async def test_the_documents_calls_are_answered_as_they_are_printed(served: Served) -> None:
    begun = (await start(served, {"userId": "an"})).json()
    assert begun.keys() >= {"instanceId", "currentState", "message"}
    async with working(served):
        path = f"{PATH}/{begun['instanceId']}/action"
        acted = await served.client.post(path, json={"action": "NEXT"}, headers=served.headers(CUSTOMER))
    assert (acted.status_code, acted.json()["currentState"]) == (200, "OTP_VERIFIED")


@pytest.mark.requirement("WF-13")
async def test_without_a_worker_the_step_is_under_way_and_nothing_else_can_be_done(served: Served) -> None:
    instance = (await start(served)).json()["instanceId"]
    begun = await act(served, instance)
    assert begun.status_code == 202
    assert begun.headers["location"] == f"{PATH}/{instance}/status"
    second = await act(served, instance)
    assert (second.status_code, second.json()["error"]) == (409, "StepInProgress")


@pytest.mark.requirement("IN-8")
async def test_a_stale_view_and_a_wrong_action_change_nothing(served: Served) -> None:
    instance = (await start(served)).json()["instanceId"]
    assert (await act(served, instance, {"expectedVersion": 2})).status_code == 409
    assert (await act(served, instance, if_match='"2"')).status_code == 412
    wrong = await act(served, instance, {"action": "FLY"})
    assert (wrong.status_code, wrong.json()["allowedActions"]) == (400, ["NEXT"])
    other = await act(served, instance, roles=("agent",), user="binh")
    assert (other.status_code, other.json()["error"], other.json()["allowedActions"]) == (403, "ActorNotAllowed", [])
    unknown = await start(served, {"flow": "nothing-like-it"})
    assert (unknown.status_code, unknown.json()["error"]) == (422, "UnknownFlow")
