"""Steps recorded in one statement write what the general way writes, or nothing at all."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from domain.effects.claiming import claim, load_requests
from domain.effects.commands import Judged, record
from domain.effects.decisions import Finished
from domain.effects.effect import ClaimedEffect
from domain.effects.wiring import Recorded, Taking
from domain.onboarding.calls import KIND, OWNER
from domain.onboarding.definitions import FollowedFlows, released_flows
from domain.onboarding.flow import FlowKey
from domain.onboarding.recording import Known, StepRecording
from runtime.sql import Connection
from schemas.onboarding import CancelInstance
from tests.integration.domain.world import OUTBOX
from tests.integration.onboarding.journeys import QUICK, Journeys
from tests.integration.onboarding.working import ends_as, working
from workers.effects.running import limits_of

KINDS = frozenset({KIND["python"]})
DONE = Finished(True, "", {})
# What tells runs apart that did the same.
_OF_THE_RUN = {
    "instance_id", "owner_id", "aggregate_id", "event_id", "effect_id", "timer_key", "case_id", "id", "xid", "seq", "key",
    "headers", "payload", "request", "detail", "data", "case_data", "folded", "cause", "shard", "command", "lease_owner",
}  # fmt: skip
_TABLES = {
    "onboarding_instance": "instance_id",
    "workflow_event": "instance_id",
    "step_execution": "instance_id",
    "flw_case": "case_id",
    "effects": "owner_id",
    "outbox_events": "aggregate_id",
}


@pytest.fixture(autouse=True)
def no_persist_points(journeys: Journeys) -> None:
    """A flow whose steps need no more than the statement does."""
    key = FlowKey("card-onboarding", 1)
    released = released_flows()[key]
    states = tuple(state.model_copy(update={"persist": False}) for state in released.states)
    journeys.flows = FollowedFlows({key: released.model_copy(update={"states": states})})


async def _claimed(journeys: Journeys, *instances: str) -> list[ClaimedEffect]:
    """The calls of these instances, leased by `one`; their flow was read before."""
    scan = await journeys.world.pool("scan")
    async with scan.acquire() as conn, conn.transaction():
        found = await claim(conn, sorted(KINDS), limits_of(QUICK), 10, owner="one", life=5)
    async with journeys.world.worker() as conn:
        calls = await load_requests(conn, found.effects)
        await journeys.flows.read(conn, {("north", FlowKey("card-onboarding", 1))})
    return sorted((call for call in calls if call.owner_id in instances), key=lambda call: call.owner_id)


async def _record(journeys: Journeys, calls: Sequence[ClaimedEffect], most: int = 10) -> Recorded:
    pool = await journeys.world.pool("worker")
    recording = StepRecording(journeys.engine)
    async with pool.acquire() as conn:
        return await recording(conn, [(call, DONE) for call in calls], Taking(KINDS, "one", 5.0, most))


async def _begun(journeys: Journeys, *instances: str, data: dict[str, Any] | None = None) -> list[ClaimedEffect]:
    for instance in instances:
        await journeys.start(instance, data=data)
        await journeys.act(instance)
    return await _claimed(journeys, *instances)


async def _rows(journeys: Journeys, instance: str) -> dict[str, list[dict[str, Any]]]:
    """Everything that was written of an instance, but what differs from run to run; of times only whether they are there."""
    found = {}
    for table, column in _TABLES.items():
        rows = await journeys.world.look(f"select * from {table} where {column} = $1", instance)
        found[table] = [{name: _plain(name, value) for name, value in row.items()} for row in rows]
    timers = await journeys.world.look("select * from timers where timer_key like $1", f"onboarding/{instance}/%")
    found["timers"] = [{name: _plain(name, value) for name, value in row.items()} for row in timers]
    for rows in found.values():
        rows.sort(key=str)
    return found


def _plain(name: str, value: Any) -> Any:
    return value is not None if name in _OF_THE_RUN or name.endswith("_at") else value


@pytest.mark.requirement("WF-1", "WF-2")
@pytest.mark.parametrize("data", [{"name": "Ann"}, {"aml": "hit"}, None], ids=["happy", "way-back", "silent"])
async def test_both_ways_write_the_same_rows(journeys: Journeys, data: dict[str, Any] | None) -> None:
    ended = "COMPENSATED" if data == {"aml": "hit"} else "COMPLETED"
    recorded = list[str]()

    async def noting(conn: Connection, finished: Sequence[tuple[ClaimedEffect, Finished]], taking: Taking) -> Recorded:
        found = await journeys.wiring().recordings[OWNER](conn, finished, taking)
        recorded.extend(outcome.owner_id for outcome in found.outcomes)
        return found

    own = replace(journeys.wiring(), recordings={OWNER: noting})
    for instance, wiring in (("i-warm", own), ("i-own", own), ("i-general", replace(own, recordings={}))):
        await journeys.start(instance, data=data)
        await journeys.act(instance)
        async with working(journeys, wiring):
            await ends_as(journeys, instance, ended)
    assert await _rows(journeys, "i-own") == await _rows(journeys, "i-general")
    assert recorded.count("i-own") >= 3
    assert "i-general" not in recorded


async def test_the_next_call_is_leased_with_what_its_owner_knew(journeys: Journeys) -> None:
    calls = await _begun(journeys, "i-1", data={"name": "Ann"})
    recorded = await _record(journeys, calls)
    (after,) = recorded.following
    assert (after.index, after.attempt, after.term) == (2, 1, 1)
    assert isinstance(after.known, Known)
    row = await journeys.row("i-1")
    assert after.known.instance.version == row["version"]
    (effect,) = await journeys.world.look("select state, lease_owner, lease_term from effects where action_index = 2")
    assert effect == {"state": "leased", "lease_owner": "one", "lease_term": 1}
    (third,) = (await _record(journeys, [after])).following
    assert third.index == 3, "the second step was recorded from memory"


async def test_a_process_that_is_full_leaves_the_next_call_to_others(journeys: Journeys) -> None:
    recorded = await _record(journeys, await _begun(journeys, "i-1"), most=0)
    assert (len(recorded.outcomes), recorded.following, recorded.due) == (1, [], True)
    (effect,) = await journeys.world.look("select state, attempt from effects where action_index = 2")
    assert effect == {"state": "due", "attempt": 0}


async def test_an_instance_that_moved_is_left_to_the_general_way(journeys: Journeys) -> None:
    (after,) = (await _record(journeys, await _begun(journeys, "i-1"))).following
    await journeys.tell(CancelInstance(instance_id="i-1", reason="not any more"), actors=frozenset({"USER", "OPERATOR"}))
    before = await _rows(journeys, "i-1")
    assert await _record(journeys, [after]) == Recorded()
    assert await _rows(journeys, "i-1") == before, "a stale version writes nothing"
    async with journeys.world.worker() as conn:
        counted = await record(conn, OUTBOX, journeys.wiring(), [Judged(after, DONE)])
    assert [outcome.effect_id for outcome in counted] == [after.id]
    async with working(journeys):
        await ends_as(journeys, "i-1", "COMPENSATED", "CANCELED")


@pytest.mark.requirement("WF-7")
async def test_a_lost_lease_writes_nothing(journeys: Journeys) -> None:
    (call,) = await _begun(journeys, "i-1")
    before = await _rows(journeys, "i-1")
    assert await _record(journeys, [replace(call, term=call.term + 1)]) == Recorded()
    assert await _record(journeys, [replace(call, term=call.term - 1)]) == Recorded()
    assert await _rows(journeys, "i-1") == before
    assert len((await _record(journeys, [call])).outcomes) == 1
    after = await _rows(journeys, "i-1")
    assert await _record(journeys, [call]) == Recorded(), "nor does a second answer"
    assert await _rows(journeys, "i-1") == after


async def test_one_that_moved_does_not_stop_the_others_of_its_batch(journeys: Journeys) -> None:
    one, two = await _begun(journeys, "i-1", "i-2")
    recorded = await _record(journeys, [replace(one, term=9), two])
    assert [outcome.owner_id for outcome in recorded.outcomes] == ["i-2"]
    assert [effect.owner_id for effect in recorded.following] == ["i-2"]


async def test_two_outcomes_of_one_instance_are_left_to_the_general_way(journeys: Journeys) -> None:
    (call,) = await _begun(journeys, "i-1")
    assert await _record(journeys, [call, replace(call, occurrence="2")]) == Recorded()


@pytest.mark.requirement("WF-7")
@pytest.mark.requirement("WF-1")
async def test_whoever_dies_after_recording_is_followed_by_others_when_its_lease_ends(journeys: Journeys) -> None:
    recorded = await _record(journeys, await _begun(journeys, "i-1", data={"name": "Ann"}))
    assert len(recorded.following) == 1
    async with working(journeys):
        await ends_as(journeys, "i-1", "COMPLETED")
    assert (await journeys.history("i-1")).count("STEP_COMPLETED") == 4


async def test_words_of_an_erased_subject_are_not_written_from_memory(journeys: Journeys) -> None:
    (after,) = (await _record(journeys, await _begun(journeys, "i-1", data={"name": "Ann"}))).following
    owner = await journeys.world.pool("superuser")
    await owner.execute(
        "insert into shredded_subjects (tenant_id, subject_id, shred_id, ordered_at, requested_by, reason)"
        " values ('north', 'ann', gen_random_uuid(), now(), 'operator', 'asked')"
    )
    before = await _rows(journeys, "i-1")
    assert await _record(journeys, [after]) == Recorded()
    assert await _rows(journeys, "i-1") == before


async def test_a_transaction_with_an_old_view_is_refused(journeys: Journeys) -> None:
    (call,) = await _begun(journeys, "i-1")
    pool = await journeys.world.pool("worker")
    recording = StepRecording(journeys.engine)
    async with pool.acquire() as conn:
        transaction = conn.transaction(isolation="repeatable_read")
        await transaction.start()
        with pytest.raises(asyncpg.RaiseError, match="read committed"):
            await recording(conn, [(call, DONE)], Taking(KINDS, "one", 5.0, 1))
        await transaction.rollback()


async def test_a_failure_and_its_retry_are_recorded_so_too(journeys: Journeys) -> None:
    (call,) = await _begun(journeys, "i-1")
    pool = await journeys.world.pool("worker")
    recording = StepRecording(journeys.engine)
    failed = Finished(False, "RuntimeError", None)
    async with pool.acquire() as conn:
        recorded = await recording(conn, [(call, failed)], Taking(KINDS, "one", 5.0, 1))
    assert [outcome.result for outcome in recorded.outcomes] == ["failed"]
    assert (await journeys.history("i-1"))[-2:] == ["STEP_FAILED", "STEP_RETRY_SCHEDULED"]
    (timer,) = await journeys.world.look("select timer_key, state from timers where timer_key like '%retry%'")
    assert timer == {"timer_key": "onboarding/i-1/retry.1.2", "state": "armed"}


async def test_an_owner_whose_recording_raises_is_recorded_in_general(journeys: Journeys) -> None:
    async def broken(conn: Connection, finished: Sequence[tuple[ClaimedEffect, Finished]], taking: Taking) -> Recorded:
        raise ValueError("a bug of the test")

    await journeys.start("i-1")
    await journeys.act("i-1")
    async with working(journeys, replace(journeys.wiring(), recordings={OWNER: broken})):
        await ends_as(journeys, "i-1", "COMPLETED")
    assert (await journeys.history("i-1")).count("STEP_COMPLETED") == 4
