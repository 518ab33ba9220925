"""The full counts: `make torture`. A step that has run in full is skipped; its line is in benchmarks/results.

TORTURE_SHARED_MACHINE=1: other work runs beside us, so P5's times are noted and not judged.
"""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.torture.system import attacks, attacks_slow
from tests.torture.system.fleet import LEAVE_SECONDS
from tests.torture.system.record import run_step
from tests.torture.system.verdict import sound
from tests.torture.system.world import DOUBLE, SMALL, TOPICS, World, world

pytestmark = [pytest.mark.torture, pytest.mark.timeout(4 * 3600)]

Figures = dict[str, Any]
MEMBERS = ("relay-0", "work-items-0", "projections-0")


def on(
    attack: Callable[[World, int], Awaitable[Figures]], nodes: int = 1, roles: tuple[str, ...] = SMALL, **settings: str
) -> Callable[[int], Awaitable[Figures]]:
    """The attack with its count, on a world of its own."""

    async def run(count: int) -> Figures:
        async with world(nodes, roles, TOPICS, **settings) as made:
            return await attack(made, count)

    return run


def judged(figures: Figures, parked: int = 0) -> None:
    """Everything that must be zero is, nobody died uninvited, memory is bounded, and P5 was kept."""
    sound(figures, parked)
    assert figures["ended_by_themselves"] == []
    assert max(figures["rss_mb"].values()) <= 150
    assert figures.get("our_processes_started_again", 0) == 0
    if "p5" in figures and os.environ.get("TORTURE_SHARED_MACHINE") != "1":
        assert figures["p5"]["kept"], figures["p5"]


@pytest.mark.parametrize("victim", ["relay-0", "work-items-0", "projections-0", "api-0", "workers-0"])
async def test_kills(victim: str) -> None:
    await run_step(f"kill {victim}", 20, on(lambda made, count: attacks.kills(made, (victim,), count)), judged)


async def test_postgres_kills() -> None:
    await run_step("kill postmaster", 20, on(attacks.postgres_kills), judged)


async def test_broker_kills() -> None:
    await run_step("kill the only broker", 20, on(attacks.broker_kills), judged)


async def test_everything_at_once() -> None:
    await run_step("kill everything at once", 10, on(attacks.everything), judged)


async def test_restarts() -> None:
    def left(figures: Figures) -> None:
        judged(figures)
        assert figures["exit_codes_other_than_0"] == []
        assert figures["left_within_seconds"]["slowest"] <= LEAVE_SECONDS
        assert figures["delivered_twice_meanwhile"] == 0
        assert figures["duplicates_seen_by_groups"] == 0
        assert figures["partitions_that_changed_owner"] == 0

    victims = (*MEMBERS, "api-0", "relay-1", "work-items-1", "projections-1", "workers-0")
    run = on(lambda made, count: attacks.restarts(made, victims, count), roles=DOUBLE)
    await run_step("SIGTERM restarts under load", 100, run, left)


async def test_a_million_events() -> None:
    def bounded(figures: Figures) -> None:
        assert max(figures["rss_mb"]) <= 150
        assert figures["growth_mb"] <= 10

    run = on(attacks_slow.many_events, roles=("projections",))
    await run_step("1,000,000 events through the board", 1_000_000, run, bounded)


async def test_clock_jumps() -> None:
    async def jumps(made: World, count: int) -> Figures:
        return await attacks_slow.clock_jumps(made, (1, -1) * count, dwell=5)

    await run_step("clock jumps of +/- 1 h", 5, on(jumps, roles=DOUBLE), judged)


async def test_poison() -> None:
    def parked(figures: Figures) -> None:
        judged(figures, parked=2 * figures["poisoned"])

    await run_step("poison in one group", 90, on(attacks_slow.poison), parked)


async def test_broker_away() -> None:
    def alarmed(figures: Figures) -> None:
        judged(figures)
        assert figures["accepted_meanwhile"] > 0
        assert figures["alarm_highest_seconds"] >= figures["seconds_away"] / 2

    await run_step("broker away, seconds", 300, on(attacks_slow.broker_away), alarmed)


async def test_leader_kills() -> None:
    await run_step("kill a partition's leader of 3", 20, on(attacks.leader_kills, nodes=3), judged)


async def test_kills_of_all_three_brokers() -> None:
    await run_step("kill all 3 brokers", 20, on(attacks.broker_kills, nodes=3), judged)


@pytest.mark.parametrize("victim", MEMBERS)
async def test_takeovers(victim: str) -> None:
    run = on(lambda made, count: attacks.takeovers(made, (victim,), count), roles=DOUBLE)
    await run_step(f"kill {victim} of two, the other takes over", 20, run, judged)


async def test_freezes() -> None:
    run = on(lambda made, count: attacks.freezes(made, MEMBERS, count), roles=DOUBLE)
    await run_step("freeze relay, work-items and projections past lease and session", 100, run, judged)
