"""Each kind of damage to what an instance waits for is found and mended through the decider; who merely waits is left alone."""

import time
from datetime import timedelta
from typing import Any

import pytest

from domain.onboarding.replaying import gather, judge
from domain.onboarding.stuck import FIRST, count_recoveries, look
from tests.integration.domain.world import World
from tests.integration.onboarding.journeys import Journeys
from tests.integration.onboarding.working import ends_as, working
from workers.lease import Lease
from workers.recoverer import Recoverer

GRACE = timedelta(minutes=1)
# As S2 prints it under "Monitor Recovery Rate".
RATE = (
    "SELECT COUNT(*) FROM workflow_event WHERE event_type = 'RECOVERY'"
    " AND created_at > NOW() - INTERVAL '1 hour' HAVING COUNT(*) > {more_than}"
)


async def _scan(journeys: Journeys, walk: Recoverer | None = None) -> int:
    """One round of whoever leads; how many were taken up again."""
    scan, worker = await journeys.world.pool("scan"), await journeys.world.pool("worker")
    lease = Lease("worker/recoverer", 1, time.monotonic() + 600)
    return await (walk or Recoverer(journeys.recovery(), GRACE)).round(scan, worker, lease)


async def _damage(journeys: Journeys, statement: str) -> None:
    """What no role of ours may do."""
    await (await journeys.world.pool("superuser")).execute(statement)


async def _causes(world: World) -> list[Any]:
    rows = await world.look(
        "select payload::jsonb ->> 'cause' as cause from workflow_event where event_type = 'RECOVERY'"
        " order by instance_id, sequence_number"
    )
    return [row["cause"] for row in rows]


async def _sound(journeys: Journeys, instance_id: str) -> bool:
    async with journeys.world.api() as conn:
        return judge(await gather(conn, journeys.flows, "north", instance_id)).sound


@pytest.mark.requirement("WF-8", "trap-67")
async def test_who_waits_for_a_person_or_runs_is_not_stuck(journeys: Journeys) -> None:
    await journeys.start("i-1", "customer-onboarding")
    await journeys.start("i-2")
    await journeys.act("i-2")
    before = [await journeys.history("i-1"), await journeys.history("i-2")]
    assert await _scan(journeys) == 0
    assert [await journeys.history("i-1"), await journeys.history("i-2")] == before


@pytest.mark.requirement("WF-8")
async def test_a_deleted_call_is_planned_again_and_the_journey_ends(journeys: Journeys) -> None:
    await journeys.start("i-1")
    await journeys.act("i-1")
    await _damage(journeys, "delete from effects")
    assert await _scan(journeys) == 1
    assert await _scan(journeys) == 0, "it is mended"
    assert await _causes(journeys.world) == ["call-missing"]
    async with working(journeys):
        await ends_as(journeys, "i-1", "COMPLETED")
    assert await _sound(journeys, "i-1")


@pytest.mark.requirement("WF-8")
async def test_a_deleted_timer_is_armed_again_for_the_same_time(journeys: Journeys) -> None:
    await journeys.start("i-1", "customer-onboarding")
    armed = "select timer_key, due_at from timers where state = 'armed' order by 1"
    before = await journeys.world.look(armed)
    await _damage(journeys, "delete from timers where timer_key like '%/expiry'")
    assert await _scan(journeys) == 1
    assert await journeys.world.look(armed) == before
    assert len(before) > 1
    assert await _causes(journeys.world) == ["timer-missing"]
    assert await _sound(journeys, "i-1")


@pytest.mark.requirement("WF-8", "trap-67")
async def test_a_timer_that_fired_and_changed_nothing_is_armed_again_but_not_at_once(journeys: Journeys) -> None:
    await journeys.start("i-1", "customer-onboarding")
    await _damage(journeys, "update timers set state = 'fired', ended_at = cs_now()")
    assert await _scan(journeys) == 0, "what it ordered may be on its way"
    await journeys.pass_time("2 minutes")
    assert await _scan(journeys) == 1
    assert await _scan(journeys) == 0


@pytest.mark.requirement("WF-8")
async def test_an_outcome_that_the_instance_never_got_is_folded(journeys: Journeys) -> None:
    await journeys.start("i-1")
    await journeys.act("i-1")
    await _damage(
        journeys,
        "update effects set state = 'failed', code = 'gone', finished_at = cs_now(),"
        " detail = convert_to('{\"retryable\": true, \"unknown\": true}', 'utf8')",
    )
    assert await _scan(journeys) == 1
    assert await _causes(journeys.world) == ["outcome-unfolded"]
    assert (await journeys.history("i-1"))[-2:] == ["STEP_FAILED", "STEP_RETRY_SCHEDULED"]
    assert await _scan(journeys) == 0
    assert await _sound(journeys, "i-1")


@pytest.mark.requirement("WF-8", "WF-6")
async def test_a_call_whose_worker_died_is_taken_over_and_told(journeys: Journeys) -> None:
    await journeys.start("i-1")
    await journeys.act("i-1")
    await _damage(
        journeys,
        "update effects set state = 'leased', attempt = 1, lease_owner = 'dead', lease_term = 1,"
        " lease_expires_at = cs_now() - interval '1 second'",
    )
    async with working(journeys):
        await ends_as(journeys, "i-1", "COMPLETED")
    assert await _causes(journeys.world) == ["lease-expired"]
    assert await _sound(journeys, "i-1")


@pytest.mark.requirement("WF-8", "SP-7")
async def test_two_scans_at_once_take_an_instance_up_once(journeys: Journeys) -> None:
    await journeys.start("i-1")
    await journeys.act("i-1")
    await _damage(journeys, "delete from effects")
    recovery = journeys.recovery()
    for expected in (["call-missing"], []):
        async with journeys.world.worker() as conn:
            assert (await look(conn, "north", FIRST, 10, GRACE)).stuck == (["i-1"] if expected else [])
            assert await recovery.repair(conn, "north", ["i-1"], GRACE) == expected
    assert len(await _causes(journeys.world)) == 1


@pytest.mark.requirement("WF-8")
async def test_a_row_that_is_no_instance_becomes_an_incident_and_others_go_on(journeys: Journeys) -> None:
    await journeys.start("i-1")
    await journeys.start("i-2")
    await journeys.act("i-2")
    await _damage(journeys, "delete from effects; update onboarding_instance set folded = '{}' where instance_id = 'i-1'")
    assert await _scan(journeys) == 1
    (incident,) = await journeys.world.look("select kind, object_id from incidents")
    assert (incident["kind"], incident["object_id"]) == ("instance-unreadable", "i-1")
    async with working(journeys):
        await ends_as(journeys, "i-2", "COMPLETED")


@pytest.mark.requirement("WF-8")
async def test_recoveries_are_counted_per_tenant_and_by_the_documents_query(journeys: Journeys) -> None:
    await journeys.start("i-1", "customer-onboarding")
    for _ in range(2):
        await _damage(journeys, "delete from timers")
        assert await _scan(journeys) == 1
    async with journeys.world.worker() as conn:
        assert await count_recoveries(conn, "north") == 2
    assert [dict(row) for row in await journeys.world.look(RATE.format(more_than=1))] == [{"count": 2}]
    assert await journeys.world.look(RATE.format(more_than=10)) == []
