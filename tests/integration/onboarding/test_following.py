"""Whoever records a step's outcome makes the next call at once: leased in the same transaction, and nobody else's meanwhile."""

import pytest

from domain.effects.claiming import Claim, claim, load_requests
from domain.effects.commands import Judged, record, take_next
from domain.effects.decisions import Finished
from domain.onboarding.calls import KIND
from runtime.sql import Connection
from tests.integration.domain.world import OUTBOX
from tests.integration.onboarding.journeys import QUICK, Journeys
from workers.effects.running import limits_of

KINDS = [KIND["python"]]


async def _claimed(conn: Connection, owner: str) -> Claim:
    return await claim(conn, KINDS, limits_of(QUICK), 10, owner=owner, life=5)


@pytest.mark.requirement("WF-1")
async def test_the_next_call_is_taken_by_whoever_records_the_one_before_it(journeys: Journeys) -> None:
    await journeys.start("i-1")
    await journeys.act("i-1")
    scan = await journeys.world.pool("scan")
    async with scan.acquire() as conn, conn.transaction():
        first = await _claimed(conn, "one")
    async with journeys.world.worker() as conn:
        (call,) = await load_requests(conn, first.effects)
        outcomes = await record(conn, OUTBOX, journeys.wiring(), [Judged(call, Finished(True, "", {}))])
        assert await take_next(conn, outcomes, KINDS, 0, owner="one", life=5) == [], "a process that is full takes nothing"
        assert await take_next(conn, outcomes, [], 5, owner="one", life=5) == [], "nor one that follows no kind"
        (next_call,) = await take_next(conn, outcomes, KINDS, 5, owner="one", life=5)
    assert next_call.request is not None
    assert (next_call.index, next_call.attempt, next_call.term) == (2, 1, 1)
    assert next_call.request["handler"] == "create-wallet"
    async with scan.acquire() as conn, conn.transaction():
        assert (await _claimed(conn, "two")).effects == []
    (row,) = await journeys.world.look("select state, lease_owner from effects where action_index = 2")
    assert (row["state"], row["lease_owner"]) == ("leased", "one")
