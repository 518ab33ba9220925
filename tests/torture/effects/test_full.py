"""The full counts of effects: kills at every numbered point, and searches beside a million finished rows."""

import asyncio
import signal
import statistics
import time
from typing import Any

import pytest

from domain.effects.claiming import find_falling_due, find_work
from tests.integration.effects.conftest import ground, receiver
from tests.integration.effects.processes import process
from tests.integration.effects.test_claims import take
from tests.integration.effects.test_kills import POINTS, check_books, check_repeats, everything_ended, prepare
from tests.integration.effects.world import Ground, Receiver, new
from tests.torture.system.record import run_step
from tests.waiting import until

__all__ = ["ground", "receiver"]
pytestmark = [pytest.mark.torture, pytest.mark.timeout(3600)]


@pytest.mark.requirement("trap-25", "trap-28", "trap-31")
@pytest.mark.parametrize("point", POINTS)
async def test_kills_at_a_point(ground: Ground, receiver: Receiver, point: str) -> None:
    """kill -9 twenty times at the same point, each time in another process; the books are right at the end of each round."""

    async def rounds(count: int) -> dict[str, Any]:
        for number in range(count):
            await ground.owner.execute(
                "drop table if exists heard, noted; truncate effects, effect_order_keys, timers, outbox_events"
            )
            receiver.calls.clear()
            await prepare(ground)
            async with process(ground, receiver.port, f"{point}:{1 + number % 3 if 'timers' not in point else 1}") as first:
                assert await asyncio.wait_for(first.wait(), 30) == -signal.SIGKILL
            async with process(ground, receiver.port):
                await until(lambda: everything_ended(ground), 60, what="an end of everything")
            await check_books(ground, receiver)
            check_repeats(receiver, point)
        return {"kills": count}

    await run_step(f"effects: kill at {point}", 20, rounds, lambda figures: None)


async def test_searches_beside_finished_rows(ground: Ground) -> None:
    """Finding due work takes as long beside a million finished rows as beside none."""

    async def searches(count: int) -> dict[str, Any]:
        await ground.plan(*(new(f"live{number}", key=f"k{number}") for number in range(200)))
        before = await _timed(ground)
        for start in range(0, count, 50_000):
            await ground.owner.execute(
                "insert into effects (tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, kind, endpoint,"
                " request, order_key, state, due_at, finished_at) select 'acme', gen_random_uuid(), 'run', 'old' || n, 1, '',"
                " 'webhook', 'hooks.example', '{}', 'k' || n % 200, 'succeeded', now(), now()"
                " from generate_series($1::int, $2::int) n",
                start,
                start + 49_999,
            )
        after = await _timed(ground)
        return {"rows": count, "before_ms": before, "after_ms": after}

    def flat(figures: Any) -> None:
        assert all(figures["after_ms"][name] < figures["before_ms"][name] * 3 + 2 for name in figures["after_ms"])

    await run_step("effects: searches beside finished rows", 1_000_000, searches, flat)


async def _timed(ground: Ground) -> dict[str, float]:
    asked = {
        "find_work": lambda: find_work(ground.scan, ["webhook"], 6.0),
        "find_falling_due": lambda: find_falling_due(ground.scan, ["delay"], 500),
        "claim": lambda: take(ground, places=1),
    }
    found: dict[str, float] = {}
    for name, ask in asked.items():
        times = []
        for _ in range(30):
            began = time.perf_counter()
            await ask()  # type: ignore[no-untyped-call]
            times.append((time.perf_counter() - began) * 1000)
        found[name] = round(statistics.median(times), 2)
    return found
