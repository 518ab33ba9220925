"""Every attack on the whole system once, short; `make torture` runs the counts (docs/reference/torture.md)."""

import pytest

from tests.promises import PROCESS_SECONDS, SERVER_SECONDS
from tests.torture.system import attacks, attacks_slow
from tests.torture.system.fleet import LEAVE_SECONDS
from tests.torture.system.verdict import sound
from tests.torture.system.world import World

VICTIMS = ("relay-0", "work-items-0", "projections-0", "api-0", "workers-0")


@pytest.mark.requirement("SP-2", "SP-5", "SP-7")
async def test_a_killed_process_loses_nothing_and_repeats_nothing(system: World) -> None:
    figures = await attacks.kills(system, VICTIMS, rounds=1)

    sound(figures)
    assert figures["kills"] == len(VICTIMS)
    assert all(times["slowest"] <= PROCESS_SECONDS for times in figures["live_again_seconds"].values()), figures
    assert all(0 < megabytes <= 150 for megabytes in figures["rss_mb"].values()), figures["rss_mb"]


@pytest.mark.requirement("SP-1", "SP-2", "SP-5")
async def test_a_killed_database_keeps_what_was_acknowledged(system: World) -> None:
    figures = await attacks.postgres_kills(system, rounds=1)

    sound(figures)
    assert figures["our_processes_started_again"] == 0
    assert figures["live_again_after_return_seconds"]["slowest"] <= SERVER_SECONDS, figures


@pytest.mark.requirement("SP-2")
async def test_a_killed_partition_leader_costs_no_event(system: World) -> None:
    figures = await attacks.leader_kills(system, rounds=1)

    sound(figures)
    assert figures["our_processes_started_again"] == 0
    assert figures["live_again_after_kill_seconds"]["slowest"] <= SERVER_SECONDS, figures


@pytest.mark.requirement("SP-1", "SP-2", "SP-9")
async def test_while_all_brokers_are_away_the_api_accepts_and_the_alarm_rises_and_clears(system: World) -> None:
    figures = await attacks_slow.broker_away(system, seconds=10)

    sound(figures)
    assert figures["accepted_meanwhile"] > 0
    assert figures["unsent_at_return"] > 0
    assert figures["alarm_highest_seconds"] >= 4
    assert figures["live_again_after_return_seconds"] <= SERVER_SECONDS, figures


@pytest.mark.requirement("SP-5", "SP-7")
async def test_processes_that_are_asked_to_leave_repeat_nothing(system: World) -> None:
    figures = await attacks.restarts(system, ("relay-0", "work-items-0", "projections-0"), rounds=3)

    sound(figures)
    assert figures["exit_codes_other_than_0"] == []
    assert figures["left_within_seconds"]["slowest"] <= LEAVE_SECONDS
    assert figures["delivered_twice_meanwhile"] == 0, figures
    assert figures["duplicates_seen_by_groups"] == 0, figures
    assert figures["partitions_that_changed_owner"] == 0, figures


@pytest.mark.requirement("SP-5", "SP-7")
async def test_a_process_that_slept_past_its_lease_and_session_acts_on_nothing_it_believes(system: World) -> None:
    for name in ("relay", "work-items", "projections"):
        system.fleet.add(name, 1)
    await system.fleet.ready()

    figures = await attacks.freezes(system, ("relay-0", "work-items-0", "projections-0"), rounds=1)

    sound(figures)
    assert figures["freezes"] == 3


@pytest.mark.requirement("SP-7")
async def test_a_clock_that_jumps_an_hour_loses_nothing(system: World) -> None:
    figures = await attacks_slow.clock_jumps(system, (1, -1), dwell=1)

    sound(figures)


@pytest.mark.requirement("SP-1", "SP-2", "SP-5")
async def test_everything_killed_at_once_comes_back_whole(system: World) -> None:
    figures = await attacks.everything(system, rounds=1)

    sound(figures)


@pytest.mark.requirement("SP-4")
async def test_poison_in_one_group_leaves_the_others_flat(system: World) -> None:
    figures = await attacks_slow.poison(system, count=20)

    sound(figures, parked=2 * 20)
    assert figures["live_seconds_beside_poison"] <= PROCESS_SECONDS
