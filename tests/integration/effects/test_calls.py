"""Calls: made outside any transaction, in the order of their keys, recorded once, with what follows in one transaction."""

from collections.abc import Sequence

import pytest

from domain.effects.commands import promote, skip
from domain.effects.effect import Outcome, RetryPolicy, effect_id
from runtime.sql import Connection
from tests.integration.effects.conftest import Start
from tests.integration.effects.world import TENANT, Books, Ground, LoopbackSender, Receiver, new
from tests.waiting import until


@pytest.mark.requirement("trap-31", "trap-32")
async def test_a_planned_call_is_made_once_with_its_id_and_recorded_with_its_event(
    ground: Ground, receiver: Receiver, start: Start
) -> None:
    books, effect = Books(), new("r1", key="LEAD/1|hooks.example")
    start(ground.effects_worker([LoopbackSender(receiver.port)], books.wiring()))
    assert await ground.plan(effect) == {effect.id}
    assert await ground.plan(effect) == set()
    await until(lambda: _all(ground, "succeeded", 1), what="the outcome")
    assert [(one.effect_id, one.result) for one in books.heard] == [(effect.id, "succeeded")]
    assert receiver.ids() == [str(effect.id)]
    events = await ground.look("select event_type, convert_from(payload, 'UTF8') as payload from outbox_events")
    assert [event["event_type"] for event in events] == ["EffectSucceeded"]
    assert str(effect.id) in events[0]["payload"]
    # Planned once more, long after it ended: nothing happens again.
    assert await ground.plan(effect) == set()
    assert await ground.states() == {"succeeded": 1}


@pytest.mark.requirement("trap-32")
async def test_nothing_is_locked_while_a_call_is_on_its_way(ground: Ground, receiver: Receiver, start: Start) -> None:
    receiver.gate.clear()
    start(ground.effects_worker([LoopbackSender(receiver.port)]))
    await ground.plan(new("r1", key="k"))
    await until(lambda: receiver.calls, what="the call")
    open_ones = await ground.look(
        "select state from pg_stat_activity where datname = current_database() and usename in ('cs_worker', 'cs_scan')"
        " and state like '%transaction%'"
    )
    assert open_ones == []


async def test_calls_of_one_key_are_made_in_the_order_in_which_they_fell_due(
    ground: Ground, receiver: Receiver, start: Start
) -> None:
    for number in range(30):
        await ground.plan(*(new(f"r{number:02}-{key}", key=f"key-{key}") for key in range(3)))
    for _ in range(2):
        start(ground.effects_worker([LoopbackSender(receiver.port)]))
    await until(lambda: len(receiver.calls) >= 90, what="all calls")
    for key in range(3):
        runs = [run for run in receiver.runs() if run.endswith(f"-{key}")]
        assert runs == sorted(runs)
    assert len(set(receiver.ids())) == 90
    await until(lambda: _all(ground, "succeeded", 90), what="all outcomes")


async def test_one_in_retry_keeps_its_place_and_waiting_and_delayed_ones_hold_nobody_back(
    ground: Ground, receiver: Receiver, start: Start
) -> None:
    receiver.answer = lambda request: "busy" if request["run"] == "first" and receiver.runs().count("first") < 3 else "ok"
    start(ground.effects_worker([LoopbackSender(receiver.port)]))
    await ground.plan(
        new("waits", key="k", waiting=True),
        new("later", key="k", delay_seconds=3600.0),
        new("first", key="k", retry=RetryPolicy(5, 0.05, "fixed")),
        new("second", key="k"),
        new("other", key="other"),
    )
    await until(lambda: _all(ground, "succeeded", 3), what="three outcomes")
    runs = [run for run in receiver.runs() if run != "other"]
    assert runs == ["first", "first", "first", "second"]
    assert await ground.states() == {"succeeded": 3, "waiting": 1, "delayed": 1}


@pytest.mark.requirement("trap-26")
async def test_exhausted_is_finished_with_an_incident_and_the_next_of_the_key_goes_on(
    ground: Ground, receiver: Receiver, start: Start
) -> None:
    receiver.answer = lambda request: "busy" if request["run"].startswith("bad") else "ok"
    books = Books()
    start(ground.effects_worker([LoopbackSender(receiver.port)], books.wiring(), circuit_failures=100))
    bad = [new(f"bad{number}", key="k", retry=RetryPolicy(2, 0.01, "fixed")) for number in range(2)]
    await ground.plan(*bad, new("good", key="k"))
    await until(lambda: _settled(ground, 3), what="three outcomes")
    assert receiver.runs() == ["bad0"] * 3 + ["bad1"] * 3 + ["good"]
    assert [(one.result, one.code) for one in books.heard] == [("failed", "http-503")] * 2 + [("succeeded", "")]
    (incident,) = await ground.look("select kind, fingerprint, seen_count from incidents where tenant_id = $1", TENANT)
    assert list(incident.values()) == ["effect-failed", "webhook|hooks.example|http-503", 2]
    events = await ground.look("select event_type from outbox_events order by id")
    assert [event["event_type"] for event in events] == ["EffectFailed", "EffectFailed", "EffectSucceeded"]


@pytest.mark.requirement("trap-26")
async def test_what_a_sender_raises_is_tried_again(ground: Ground, receiver: Receiver, start: Start) -> None:
    receiver.answer = lambda _request: "silent" if len(receiver.calls) == 1 else "ok"
    start(ground.effects_worker([LoopbackSender(1, "email"), LoopbackSender(receiver.port)]))
    await ground.plan(
        new("r1", retry=RetryPolicy(1, 0.01, "fixed")),
        new("r2", kind="email", endpoint="mail", retry=RetryPolicy(1, 0.01, "fixed")),
    )
    await until(lambda: _settled(ground, 2), what="both outcomes")
    rows = await ground.look("select kind, state, attempt, code from effects order by kind")
    assert rows[0] == {"kind": "email", "state": "failed", "attempt": 2, "code": "ConnectionRefusedError"}
    assert rows[1] == {"kind": "webhook", "state": "succeeded", "attempt": 2, "code": ""}


@pytest.mark.requirement("trap-27", "trap-28")
@pytest.mark.hole("next-action-after-outcome")
async def test_the_next_action_becomes_due_in_the_transaction_of_the_outcome(
    ground: Ground, receiver: Receiver, start: Start
) -> None:
    receiver.answer = lambda request: "no" if (request["run"], request["index"]) == ("stops", 2) else "ok"

    async def follow(conn: Connection, outcomes: Sequence[Outcome]) -> None:
        """Promotes the next action of each run, or skips all that are left after a failure."""
        for one in outcomes:
            rest = [(TENANT, effect_id("run", one.owner_id, index, "")) for index in range(one.index + 1, 5)]
            if one.result == "failed":
                await skip(conn, rest)
            elif rest:
                await promote(conn, [(*rest[0], 0.0)])

    books = Books(next=follow)
    start(ground.effects_worker([LoopbackSender(receiver.port)], books.wiring()))
    await ground.plan(
        *(new(run, index, key=f"{run}|hooks", waiting=index > 1) for run in ("runs", "stops") for index in (1, 2, 3, 4))
    )
    await until(lambda: _settled(ground, 8), what="every action")
    assert [index for _, index in _pairs(receiver) if _ == "runs"] == [1, 2, 3, 4]
    assert [index for _, index in _pairs(receiver) if _ == "stops"] == [1, 2]
    assert await ground.states() == {"succeeded": 5, "failed": 1, "skipped": 2}


@pytest.mark.requirement("trap-25")
async def test_a_delay_is_a_row_and_what_comes_after_it_follows_in_the_same_transaction(
    ground: Ground, receiver: Receiver, start: Start
) -> None:
    async def follow(conn: Connection, outcomes: Sequence[Outcome]) -> None:
        await promote(conn, [(TENANT, effect_id("run", one.owner_id, one.index + 1, ""), 0.0) for one in outcomes])

    books = Books(next=follow)
    start(ground.effects_worker([LoopbackSender(receiver.port)], books.wiring()))
    delay = new("r", 1, kind="delay", endpoint="", delay_seconds=600.0)
    await ground.plan(delay, new("r", 2, kind="delay", endpoint="", waiting=True), new("r", 3, key="k", waiting=True))
    assert await ground.states() == {"delayed": 1, "waiting": 2}
    await ground.shift_clock(601)
    await until(lambda: receiver.calls, what="the call after both delays")
    await until(lambda: _all(ground, "succeeded", 3), what="all outcomes")
    assert [one.index for one in books.heard] == [1, 2, 3]


async def test_delayed_ones_get_their_places_in_the_order_in_which_they_fall_due(
    ground: Ground, receiver: Receiver, start: Start
) -> None:
    for number in (3, 1, 2):
        await ground.plan(new(f"r{number}", key="k", delay_seconds=number * 100.0))
    await ground.shift_clock(1000)
    start(ground.effects_worker([LoopbackSender(receiver.port)]))
    await until(lambda: len(receiver.calls) == 3, what="three calls")
    assert receiver.runs() == ["r1", "r2", "r3"]


@pytest.mark.hole("outcome-fold-cannot-repeat-a-call")
async def test_an_owner_that_cannot_be_folded_holds_no_other_outcome_back(
    ground: Ground, receiver: Receiver, start: Start
) -> None:
    books = Books(raises={"sick"})
    receiver.gate.clear()
    start(ground.effects_worker([LoopbackSender(receiver.port)], books.wiring()))
    await ground.plan(*(new(run) for run in ("well1", "sick", "well2")))
    await until(lambda: len(receiver.calls) == 3, what="the calls")
    receiver.gate.set()
    await until(lambda: len(books.heard) == 2, what="the outcomes of the others")
    (incident,) = await until(lambda: ground.look("select kind from incidents"), what="the incident")
    assert incident["kind"] == "effect-outcome"
    assert {one.owner_id for one in books.heard} == {"well1", "well2"}


@pytest.mark.hole("outcome-fold-cannot-repeat-a-call")
async def test_an_internal_kind_that_raises_fails_alone_and_the_call_before_it_is_not_repeated(
    ground: Ground, receiver: Receiver, start: Start
) -> None:
    async def broken(*_: object) -> Sequence[Outcome]:
        raise ValueError("no such task")

    async def follow(conn: Connection, outcomes: Sequence[Outcome]) -> None:
        await promote(conn, [(TENANT, effect_id("run", one.owner_id, one.index + 1, ""), 0.0) for one in outcomes])

    books = Books(next=follow)
    start(ground.effects_worker([LoopbackSender(receiver.port)], books.wiring(task=broken)))
    await ground.plan(new("r", 1), new("r", 2, kind="task", endpoint="", waiting=True), new("s", 1))
    await until(lambda: _settled(ground, 3), what="three outcomes")
    # What was rolled back was heard too.
    assert sorted({(one.owner_id, one.index, one.result, one.code) for one in books.heard}) == [
        ("r", 1, "succeeded", ""),
        ("r", 2, "failed", "error"),
        ("s", 1, "succeeded", ""),
    ]
    assert sorted(receiver.runs()) == ["r", "s"]


async def test_a_worker_that_leaves_finishes_its_calls_and_gives_the_others_back(
    ground: Ground, receiver: Receiver, start: Start
) -> None:
    receiver.gate.clear()
    stop = start(ground.effects_worker([LoopbackSender(receiver.port)], drain_seconds=0.2))
    await ground.plan(new("r"))
    await until(lambda: receiver.calls, what="the call")
    stop.set()
    await until(lambda: ground.look("select from effects where state = 'leased' and lease_expires_at = '-infinity'"), 10.0)
    receiver.gate.set()
    start(ground.effects_worker([LoopbackSender(receiver.port)]))
    await until(lambda: _all(ground, "succeeded", 1), what="the outcome")
    assert len(receiver.calls) == 2
    assert len(set(receiver.ids())) == 1


def _pairs(receiver: Receiver) -> list[tuple[str, int]]:
    return [(request["run"], request["index"]) for _, request in receiver.calls]


async def _all(ground: Ground, state: str, count: int) -> bool:
    return (await ground.states()).get(state, 0) == count


async def _settled(ground: Ground, count: int) -> bool:
    found: int = await ground.owner.fetchval("select count(*) from effects where finished_at is not null")
    return found == count


async def test_nobody_waits_for_a_call_that_is_slow(ground: Ground, receiver: Receiver, start: Start) -> None:
    slow = 40
    receiver.gate.clear()
    start(ground.effects_worker([LoopbackSender(receiver.port)], channel_in_flight=64))
    await ground.plan(*(new(f"r{number}", key=f"k{number}") for number in range(slow)))
    await until(lambda: receiver.now == slow, what="all calls at once")
    receiver.gate.set()
    await until(lambda: _all(ground, "succeeded", slow), what="all outcomes")
