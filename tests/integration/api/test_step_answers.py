"""Services answer the calls that they were asked, over HTTP, by the call's id: once, by whoever may, in their own tenant."""

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic.alias_generators import to_camel

from domain.effects.wiring import Wiring
from domain.onboarding.calls import OWNER
from domain.onboarding.definitions import import_flow
from domain.onboarding.engine import Engine
from domain.onboarding.folding import InstanceFold
from runtime.postgres import open_pool, tenants_transaction
from runtime.settings import EffectSettings
from schemas.flows import FlowDefinition
from schemas.steps import StepReplied, StepRequested
from tests.integration.api.conftest import Served
from tests.integration.onboarding.outside import document
from tests.waiting import until
from workers.effects.running import EffectsWorker
from workers.senders.step_kafka import KafkaSteps

SERVICE = ("step-handler",)
PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "write-a-step-handler.md"


@contextlib.asynccontextmanager
async def asking(served: Served) -> AsyncIterator[None]:
    """A worker that asks over Kafka, with the ring of the application; the requests wait in the outbox."""
    door = served.app.state.door
    settings = served.settings.model_copy(update={"effects": EffectSettings(poll_min_ms=2, poll_max_ms=10)})
    scan, worker = await open_pool(settings, "scan", size=4), await open_pool(settings, "worker", size=6)
    async with tenants_transaction(worker, ["north"]) as conn:
        definition = FlowDefinition.model_validate(document(9, ["kafka"]))
        assert await import_flow(conn, "north", definition, "an") == "imported"
    wiring = Wiring(
        {OWNER: InstanceFold(Engine(door.outbox, door.keys, door.flows, door.case_classes))}, discreet=frozenset({OWNER})
    )
    stop = asyncio.Event()
    running = asyncio.create_task(EffectsWorker(settings, scan, worker, [KafkaSteps(door.keys)], wiring).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running
        await scan.close()
        await worker.close()


async def asked(served: Served) -> tuple[str, str]:
    """An instance that waits for a service, and the call's id."""
    customer = served.headers(("customer",), idempotency_key=str(uuid.uuid4()))
    body = {"flow": "outside", "data": {"amount": 5}}
    started = await served.client.post("/api/onboarding/start", json=body, headers=customer)
    instance_id = started.json()["instanceId"]
    acted = await served.client.post(f"/api/onboarding/{instance_id}/action", json={"action": "KAFKA"}, headers=customer)
    assert acted.status_code == 202, acted.text

    async def made() -> list[Any]:
        return await served.rows("select effect_id from effects where owner_id = $1 and state = 'succeeded'", instance_id)

    (row,) = await until(made, what="the service to be asked")
    return instance_id, str(row["effect_id"])


async def answer(served: Served, call_id: str, body: dict[str, Any] | None = None, **who: Any) -> httpx.Response:
    headers = served.headers(**{"roles": SERVICE, **who})
    return await served.client.post(f"/api/v1/workflow-instance-steps/{call_id}/complete", json=body or {}, headers=headers)


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]


async def state(served: Served, instance_id: str) -> tuple[str, str]:
    (row,) = await served.rows("select status, current_state from onboarding_instance where instance_id = $1", instance_id)
    return row["status"], row["current_state"]


@pytest.mark.requirement("WF-4", "SP-8")
async def test_the_first_answer_of_a_service_counts_and_the_same_again_is_told_so(served: Served) -> None:
    async with asking(served):
        instance_id, call_id = await asked(served)
        assert code(await answer(served, call_id, roles=("customer",))) == (403, "PermissionDenied")
        assert code(await answer(served, call_id, tenant="south")) == (404, "StepCallNotFound")
        assert code(await answer(served, str(uuid.uuid4()))) == (404, "StepCallNotFound")
        assert (await answer(served, "no-uuid")).status_code == 422
        assert code(await answer(served, call_id, {"code": "no", "data": {}})) == (422, "ValidationFailed")
        assert code(await answer(served, call_id, {"data": {"x": "a" * 300_000}})) == (413, "ResultTooLarge")
        assert await state(served, instance_id) == ("ACTIVE", "A")
        done = await answer(served, call_id, {"data": {"payment": "7"}})
        expected = {"effectId": call_id, "instanceId": instance_id, "step": 1, "attempt": 1, "applied": True}
        assert (done.status_code, done.json()) == (200, expected)
        assert await state(served, instance_id) == ("ACTIVE", "B")
        for again in ({"data": {"payment": "7"}}, {"data": {"payment": "8"}}, {"code": "no-such-account"}):
            repeated = await answer(served, call_id, again)
            assert (repeated.status_code, repeated.json()) == (200, {**expected, "applied": False})
    (version,) = await served.rows("select version from flw_case where case_id = $1", instance_id)
    assert version["version"] == 2, "the case has one payment"
    assert await served.rows("select from timers where timer_key like 'onboarding-call/%' and state = 'armed'") == []


async def test_a_service_that_could_not_says_so_and_the_journey_goes_its_way(served: Served) -> None:
    async with asking(served):
        instance_id, call_id = await asked(served)
        failed = await answer(served, call_id, {"code": "no-such-account", "retryable": False})
        assert (failed.status_code, failed.json()["applied"]) == (200, True)
    assert await state(served, instance_id) == ("INCIDENT", "A")


async def test_nobody_answers_a_call_before_it_is_made(served: Served) -> None:
    async with asking(served):
        pass
    customer = served.headers(("customer",), idempotency_key=str(uuid.uuid4()))
    started = await served.client.post("/api/onboarding/start", json={"flow": "outside"}, headers=customer)
    path = f"/api/onboarding/{started.json()['instanceId']}/action"
    assert (await served.client.post(path, json={"action": "KAFKA"}, headers=customer)).status_code == 202
    (row,) = await served.rows("select effect_id from effects")
    assert code(await answer(served, str(row["effect_id"]))) == (409, "StepNotCalled")


async def test_the_guides_answers_are_taken(served: Served) -> None:
    text = PAGE.read_text()
    asked_for, replied = (json.loads(said) for said in re.findall(r"```json\n(.*?)```", text, re.DOTALL))
    assert StepRequested.model_validate(asked_for).callback == re.findall(r"https://casestream.example.com(\S+)", text)[0]
    assert set(asked_for) <= {to_camel(name) for name in StepRequested.model_fields}
    assert StepReplied.model_validate(replied).outcome == "REFUSED"
    done, failed = (json.loads(said) for said in re.findall(r"-d '(.*?)'", text))
    async with asking(served):
        for body, expected in ((done, ("ACTIVE", "B")), (failed, ("INCIDENT", "A"))):
            instance_id, call_id = await asked(served)
            assert (await answer(served, call_id, body)).json()["applied"] is True
            assert await state(served, instance_id) == expected
