"""Steps whose handlers are services: asked once under one id, answered at once, later, never, or badly. Real sockets."""

import asyncio
import json
from base64 import b64encode
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from domain.effects.effect import Outcome
from domain.onboarding.asking import Words, answered, asked
from domain.onboarding.calls import OWNER
from domain.onboarding.completing import OutsideCall, find_call
from domain.onboarding.firing import Firing
from domain.onboarding.sealing import RESULT, seal_words
from domain.onboarding.turn import Decided, Unchanged
from domain.onboarding.waiting import detail_of, end_waiting, timer_key
from domain.timers.commands import fire
from runtime.keys.ring import DataKey
from schemas.onboarding import CancelInstance, StepFailed, TimerFired
from schemas.steps import StepReplied, StepRequested
from tests.integration.domain.world import OUTBOX
from tests.integration.onboarding.journeys import ENGINE, Journeys
from tests.integration.onboarding.outside import SECRET, outside, paths_of
from tests.integration.onboarding.working import ends_as, working
from tests.integration.outgoing.receivers import Visit, in_turn, reply
from tests.waiting import until

CANARY = "canary-31bd"
ACCEPTED = reply(202)


async def _calls(journeys: Journeys, instance_id: str) -> list[OutsideCall]:
    """Those that were made, in their order."""
    rows = await journeys.world.look(
        "select effect_id from effects where owner_id = $1 and state = 'succeeded' order by seq", instance_id
    )
    async with journeys.world.worker() as conn:
        found = [await find_call(conn, "north", row["effect_id"]) for row in rows]
    assert all(isinstance(one, OutsideCall) for one in found)
    return [one for one in found if isinstance(one, OutsideCall)]


async def _called(journeys: Journeys, instance_id: str, count: int = 1) -> OutsideCall:
    """The latest call of an instance, once so many were made."""

    async def made() -> list[OutsideCall]:
        calls = await _calls(journeys, instance_id)
        return calls if len(calls) >= count else []

    return (await until(made, what=f"call {count} of {instance_id} to be made"))[-1]


async def _answer(journeys: Journeys, call: OutsideCall, **said: Any) -> Any:
    """What the door does with an answer."""
    (ruling,) = await journeys.tell(answered(StepReplied(**call.named(), **said)), by="service", actors=ENGINE)
    async with journeys.world.worker() as conn:
        await end_waiting(conn, [("north", str(call.effect_id))])
    return ruling.outcome


async def _failures(journeys: Journeys, instance_id: str) -> list[tuple[str, bool, bool]]:
    rows = await journeys.world.look(
        "select payload from workflow_event where instance_id = $1 and event_type = 'STEP_FAILED' order by sequence_number",
        instance_id,
    )
    said = [json.loads(row["payload"]) for row in rows]
    return [(one["code"], one.get("retryable", True), one.get("unknown", False)) for one in said]


async def _timer(journeys: Journeys, call: OutsideCall) -> str:
    (row,) = await journeys.world.look("select state from timers where timer_key = $1", timer_key(str(call.effect_id)))
    return str(row["state"])


async def _flood(visit: Visit, writer: asyncio.StreamWriter) -> None:
    """50 MB, or until nobody takes any more."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 52428800\r\n\r\n")
    for _ in range(50):
        writer.write(b"x" * 1_048_576)
        await writer.drain()


async def _silence(visit: Visit, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.requirement("WF-1", "WF-9", "trap-79")
async def test_a_service_is_asked_with_a_signature_and_its_result_moves_the_journey_and_is_undone(journeys: Journeys) -> None:
    paid = reply(200, body=b'{"data": {"payment": "7"}, "outcome": null}')
    async with outside(journeys, {"pay": paid}) as at, working(journeys):
        await journeys.start("i-1", "outside", {"amount": 5, "name": CANARY})
        await journeys.act("i-1", "PAY")
        await ends_as(journeys, "i-1", "ACTIVE", state="B")
        await journeys.tell(CancelInstance(instance_id="i-1", reason="changed my mind"))
        await ends_as(journeys, "i-1", "COMPENSATED")
    assert paths_of(at) == ["pay", "undo"]
    forward, undo = (Webhook(SECRET).verify(visit.body, visit.headers) for visit in at.visits)
    assert (forward["input"], undo["input"], undo["result"]) == ({"amount": 5}, {}, {"payment": "7"})
    assert [visit.headers["webhook-id"] for visit in at.visits] == [forward["idempotencyId"], undo["idempotencyId"]]
    assert forward["idempotencyId"] != undo["idempotencyId"]
    assert (forward["userId"], undo["undoes"]) == ("ann", 1)
    assert not any(CANARY.encode() in visit.body for visit in at.visits)
    (found,) = await journeys.world.look(
        "select count(*) as n from effects where convert_from(coalesce(request, '') || coalesce(detail, ''), 'utf8') ~ $1",
        f'{CANARY}|"payment"',
    )
    assert found["n"] == 0


@pytest.mark.requirement("WF-5")
async def test_what_a_service_does_wrong_has_a_defined_end(journeys: Journeys) -> None:
    answers = {
        "garbage": reply(200, body=b"<html>all good</html>"),
        "large": _flood,
        "never": _silence,
        "raises": reply(500, body=CANARY.encode()),
        "redirects": reply(302, "location: http://127.0.0.1:1/"),
        "business": reply(422, body=b'{"code": "no-such-account"}'),
        "refuses": reply(403),
        "unnamed": reply(200, body=b'{"outcome": "SOMEHOW"}'),
    }
    async with outside(journeys, answers) as at, working(journeys):
        for path in answers:
            await journeys.start(path, "outside", {"amount": 5})
            await journeys.act(path, path.upper())
        for path in answers:
            await ends_as(journeys, path, "INCIDENT")
    assert sorted(paths_of(at)) == sorted(answers), "each was asked once: there are no retries, and no redirect is followed"
    assert {path: await _failures(journeys, path) for path in answers} == {
        "garbage": [("answer-unreadable", False, True)],
        "large": [("answer-too-large", False, True)],
        "never": [("network-timeout", True, True)],
        "raises": [("http-500", True, True)],
        "redirects": [("http-302", False, False)],
        "business": [("no-such-account", False, False)],
        "refuses": [("http-403", False, False)],
        "unnamed": [("unknown-outcome", False, True)],
    }


@pytest.mark.requirement("WF-1", "WF-4", "trap-67")
async def test_an_answer_may_come_later_counts_once_and_nothing_runs_meanwhile(journeys: Journeys) -> None:
    async with outside(journeys, {"pay": ACCEPTED}) as at, working(journeys):
        await journeys.start("i-1", "outside", {"amount": 5})
        await journeys.act("i-1", "PAY")
        call = await _called(journeys, "i-1")
        assert (await journeys.row("i-1"))["current_state"] == "A"
        assert await _timer(journeys, call) == "armed"
        assert await journeys.world.look("select from effects where finished_at is null") == [], "nobody holds or looks for it"
        outcome = await _answer(journeys, call, data={"payment": CANARY})
        assert isinstance(outcome, Decided)
        await ends_as(journeys, "i-1", "ACTIVE", state="B")
        assert await _timer(journeys, call) == "canceled"
        for said in ({"data": {"payment": CANARY}}, {"data": {"payment": "9"}}, {"code": "no-such-account"}):
            assert isinstance(await _answer(journeys, call, **said), Unchanged)
    assert paths_of(at) == ["pay"]
    (case,) = await journeys.world.look("select version from flw_case where case_id = 'i-1'")
    assert case["version"] == 2


@pytest.mark.requirement("WF-5", "WF-9")
async def test_an_answer_that_does_not_come_is_a_failure_that_an_undo_waits_for_and_a_later_success_is_undone(
    journeys: Journeys,
) -> None:
    async with outside(journeys, {"pay": ACCEPTED}) as at, working(journeys):
        await journeys.start("i-1", "outside", {"amount": 5})
        await journeys.act("i-1", "PAY")
        call = await _called(journeys, "i-1")
        await journeys.tell(CancelInstance(instance_id="i-1", reason="changed my mind"))
        assert await journeys.status("i-1") == "COMPENSATING"
        assert paths_of(at) == ["pay"], "the undo waits until the call has ended"
        await _let_all_timers_be_due(journeys)
        async with journeys.world.worker() as conn:
            assert {kind for kind, _ in await fire(conn, Firing(OUTBOX).handlers, "north", 10)} == {"onboarding-call"}
        (row,) = await journeys.world.look("select payload from outbox_events where event_type = 'StepFailed'")
        overdue = StepFailed.model_validate_json(bytes(row["payload"]))
        assert (overdue.code, overdue.unknown, overdue.effect_id) == ("no-answer", True, str(call.effect_id))
        await journeys.tell(overdue, by="system:timers", actors=ENGINE)
        await ends_as(journeys, "i-1", "COMPENSATED")
        assert paths_of(at) == ["pay", "undo"]
        await _answer(journeys, call, data={"payment": "7"})
        await ends_as(journeys, "i-1", "COMPENSATED")
        await until(lambda: len(at.visits) == 3, what="the late payment to be undone too")
        await ends_as(journeys, "i-1", "COMPENSATED")
    assert json.loads(at.visits[2].body)["result"] == {"payment": "7"}


@pytest.mark.requirement("WF-5")
async def test_the_next_attempt_has_the_same_id_and_a_late_success_of_the_first_is_the_steps(journeys: Journeys) -> None:
    move = {"attemptTimeout": "30m", "retry": {"retries": 1, "delay": "1ms"}}
    async with outside(journeys, {"pay": in_turn(ACCEPTED, _silence)}, **move) as at, working(journeys):
        await journeys.start("i-1", "outside", {"amount": 5})
        await journeys.act("i-1", "PAY")
        call = await _called(journeys, "i-1")
        await journeys.pass_time("31 minutes")
        await _fire_until(journeys, lambda: len(at.visits) == 2)
        assert isinstance(await _answer(journeys, call, data={"payment": "7"}), Decided)
        await ends_as(journeys, "i-1", "ACTIVE", state="B")
    said = [json.loads(visit.body) for visit in at.visits]
    assert len({one["idempotencyId"] for one in said}) == 1
    assert [one["attempt"] for one in said] == [1, 2]
    assert len({one["effectId"] for one in said}) == 2


@pytest.mark.requirement("WF-1", "SP-8", "trap-79")
async def test_a_request_over_kafka_leaves_with_its_call_and_says_no_more_than_the_flow_names(journeys: Journeys) -> None:
    async with outside(journeys, {"kafka": ACCEPTED}) as at, working(journeys):
        await journeys.start("i-1", "outside", {"amount": 5, "name": CANARY})
        await journeys.act("i-1", "KAFKA")
        call = await _called(journeys, "i-1")
        (row,) = await journeys.world.look("select * from outbox_events where event_type = 'StepRequested'")
        request = StepRequested.model_validate_json(bytes(row["payload"]))
        assert (row["topic"], bytes(row["key"])) == ("onboarding.step-requests.v1", b"north|onboarding|i-1")
        assert (request.input, UUID(request.effect_id)) == ({"amount": 5}, call.effect_id)
        assert CANARY.encode() not in bytes(row["payload"])
        (effect,) = await journeys.world.look("select state, detail from effects")
        assert effect["state"] == "succeeded"
        assert b'"input":{}' in bytes(effect["detail"]), "what is about a person is sealed there"
        assert isinstance(await _answer(journeys, call, code="closed", unknown=True), Decided)
        await ends_as(journeys, "i-1", "INCIDENT")
    assert at.visits == []
    assert await _failures(journeys, "i-1") == [("closed", False, True)]


@pytest.mark.requirement("WF-9")
async def test_an_undo_is_asked_over_kafka_with_what_its_forward_step_gave(journeys: Journeys) -> None:
    paid = reply(200, body=b'{"data": {"payment": "7"}}')
    async with outside(journeys, {"pay": paid}, undo={"kind": "kafka"}), working(journeys):
        await journeys.start("i-1", "outside", {"amount": 5})
        await journeys.act("i-1", "PAY")
        await ends_as(journeys, "i-1", "ACTIVE", state="B")
        await journeys.tell(CancelInstance(instance_id="i-1", reason="changed my mind"))
        undo = await _called(journeys, "i-1", 2)
        (row,) = await journeys.world.look("select payload from outbox_events where event_type = 'StepRequested'")
        request = StepRequested.model_validate_json(bytes(row["payload"]))
        assert (request.handler, request.undoes, request.input, request.result) == ("UNDO", 1, {}, {"payment": "7"})
        await _answer(journeys, undo)
        await ends_as(journeys, "i-1", "COMPENSATED")


@pytest.mark.requirement("trap-79")
async def test_of_somebody_who_was_erased_meanwhile_nothing_is_asked_over_kafka(journeys: Journeys) -> None:
    async with outside(journeys, {"kafka": ACCEPTED}):
        await journeys.start("i-1", "outside", {"amount": 5})
        await journeys.act("i-1", "KAFKA")
        (row,) = await journeys.world.look("select effect_id, request from effects")
        lost = DataKey(UUID(int=1), b"k" * 32)
        sealed = seal_words(lost, ("north", "ann"), RESULT, str(row["effect_id"]), 0, {"input": {"amount": 5}})
        request = asked(row["effect_id"], json.loads(row["request"]), Words({}))
        told = {**detail_of(timedelta(hours=1), request), "subject": "ann", "sealed": b64encode(sealed).decode()}
        outcome = Outcome(row["effect_id"], "north", OWNER, "i-1", 1, "succeeded", "", told, "1")
        async with journeys.world.worker() as conn:
            await journeys.wiring().owners[OWNER](conn, [outcome], await conn.fetchval("select cs_now()"))
    assert await journeys.status("i-1") == "INCIDENT"
    assert await _failures(journeys, "i-1") == [("erased", False, False)]
    assert await journeys.world.look("select from outbox_events where event_type = 'StepRequested'") == []


@pytest.mark.requirement("WF-4")
async def test_a_call_of_this_process_and_one_that_nobody_made_cannot_be_answered_from_outside(journeys: Journeys) -> None:
    await journeys.start("python")
    await journeys.act("python")
    async with outside(journeys, {"pay": ACCEPTED}):
        await journeys.start("i-1", "outside", {"amount": 5})
        await journeys.act("i-1", "PAY")
        rows = await journeys.world.look("select effect_id, kind, owner_id from effects order by kind desc")
        async with journeys.world.worker() as conn:
            codes = [getattr(await find_call(conn, "north", row["effect_id"]), "code", None) for row in rows]
            codes += [getattr(await find_call(conn, "south", rows[1]["effect_id"]), "code", None)]
    assert [row["kind"] for row in rows] == ["step-python", "step-http"]
    assert codes == ["StepCallNotFound", "StepNotCalled", "StepCallNotFound"]


async def _let_all_timers_be_due(journeys: Journeys) -> None:
    await journeys.world.look("update timers set due_at = cs_now() - interval '1 s' where state = 'armed' returning 1")


async def _fire_until(journeys: Journeys, reached: Any) -> None:
    """What the role timers and the group onboarding do, until it is so."""

    async def round_() -> bool:
        async with journeys.world.worker() as conn:
            await fire(conn, Firing(OUTBOX).handlers, "north", 10)
        rows = await journeys.world.look("delete from outbox_events where event_type = 'TimerFired' returning payload")
        for row in rows:
            await journeys.tell(TimerFired.model_validate_json(bytes(row["payload"])), by="system:timers", actors=ENGINE)
        return bool(reached())

    await until(round_, what="timers to bring it about")
