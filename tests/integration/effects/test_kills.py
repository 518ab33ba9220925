"""Processes that die or freeze at every numbered point: every call is made, under one id, and every outcome counts once."""

import asyncio
import signal
from datetime import UTC, datetime

import pytest

from domain.timers.commands import arm
from domain.timers.timer import Timer
from runtime.postgres import tenants_transaction
from tests.integration.effects.processes import TABLES, process
from tests.integration.effects.world import TENANT, Ground, Receiver, new
from tests.waiting import until

POINTS = (
    "effects.claimed", "effects.called", "effects.recording", "effects.recorded", "effects.falling-due", "timers.firing",
    "timers.fired",
)  # fmt: skip
RUNS, TIMERS = 12, 20


async def prepare(ground: Ground) -> None:
    """Runs of a call, a delay and a call, on three order keys; and timers that are due."""
    await ground.owner.execute(TABLES)
    for number in range(RUNS):
        run, key = f"r{number:02}", f"k{number % 3}"
        await ground.plan(
            new(run, 1, key=key),
            new(run, 2, kind="delay", endpoint="", waiting=True),
            new(run, 3, key=key, waiting=True),
        )
    past = datetime(2020, 1, 1, tzinfo=UTC)
    async with tenants_transaction(ground.worker, [TENANT]) as conn:
        await arm(conn, [Timer(TENANT, f"t{number}", "note", past) for number in range(TIMERS)])


async def everything_ended(ground: Ground) -> bool:
    return not await ground.owner.fetchval(
        "select exists (select from effects where finished_at is null) or exists (select from timers where state = 'armed')"
    )


async def check_books(ground: Ground, receiver: Receiver) -> None:
    """What was heard, fired and called against what was planned."""
    heard = [row["effect_id"] for row in await ground.look("select effect_id from heard")]
    assert len(heard) == len(set(heard)) == RUNS * 3
    noted = [row["timer_key"] for row in await ground.look("select timer_key from noted")]
    assert sorted(noted) == sorted(f"t{number}" for number in range(TIMERS))
    assert len(set(receiver.ids())) == RUNS * 2
    assert await ground.owner.fetchval("select count(*) from outbox_events") == RUNS * 3
    for key in range(3):
        first = dict.fromkeys(run for run, index in _calls(receiver) if index == 1 and int(run[1:]) % 3 == key)
        assert list(first) == sorted(first)


def check_repeats(receiver: Receiver, point: str) -> None:
    """Who died between call and record left no trace of the call: it was made again, under the same id."""
    if point == "effects.called":
        assert len(receiver.calls) > RUNS * 2 == len(set(receiver.ids()))


@pytest.mark.requirement("trap-25", "trap-28", "trap-31")
@pytest.mark.parametrize("point", POINTS)
async def test_a_process_killed_at_any_point_loses_nothing_and_repeats_no_outcome(
    ground: Ground, receiver: Receiver, point: str
) -> None:
    await prepare(ground)
    passage = 1 if point.startswith("timers") else 2
    async with process(ground, receiver.port, f"{point}:{passage}") as first:
        assert await asyncio.wait_for(first.wait(), 20) == -signal.SIGKILL
    async with process(ground, receiver.port):
        await until(lambda: everything_ended(ground), 20, what="an end of everything")
    await check_books(ground, receiver)
    check_repeats(receiver, point)


@pytest.mark.hole("lost-lease-writes-nothing")
async def test_a_process_frozen_between_call_and_record_writes_nothing(ground: Ground, receiver: Receiver) -> None:
    await prepare(ground)
    async with process(ground, receiver.port, "effects.called:1:stop") as zombie:
        await until(lambda: receiver.calls, 20, what="the zombie's call")
        async with process(ground, receiver.port):
            await until(lambda: everything_ended(ground), 20, what="an end of everything")
        zombie.send_signal(signal.SIGCONT)
        zombie.terminate()
        assert await asyncio.wait_for(zombie.wait(), 15) == 0
    await check_books(ground, receiver)
    assert len(receiver.calls) > RUNS * 2


def _calls(receiver: Receiver) -> list[tuple[str, int]]:
    return [(request["run"], request["index"]) for _, request in receiver.calls]
