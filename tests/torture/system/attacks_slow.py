"""Trouble that kills nobody: a broker that stays away, poison, a clock that jumps, a million events."""

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

import asyncpg

from clients.work_items import COMMANDS_TOPIC
from runtime.kafka import producer
from schemas.envelope import CloudEvent, to_headers
from schemas.work_items import WorkItemCreated, WorkItemStatusChanged
from tests.torture.system.attacks import further, under_load
from tests.torture.system.load import Load
from tests.torture.system.probes import asked, seconds_until_live, summary
from tests.torture.system.verdict import EVENTS_TOPIC, Figures
from tests.torture.system.world import World
from tests.waiting import until

ALARM = "outbox_oldest_unsent_seconds"


async def broker_away(world: World, seconds: float) -> Figures:
    """No broker for a while: the API goes on, the outbox grows, its alarm rises, and everything drains in order."""
    figures: Figures = {"seconds_away": seconds}
    async with under_load(world, figures) as load:
        await asyncio.to_thread(world.kafka.kill)
        began, before = time.monotonic(), load.oracle.by_door["http"]
        highest = await _highest(world, seconds)
        figures["accepted_meanwhile"] = load.oracle.by_door["http"] - before
        figures["unsent_at_return"] = await world.value("select count(*) from outbox_events")
        figures["alarm_highest_seconds"] = round(highest, 1)
        await asyncio.to_thread(world.kafka.start)
        since = time.monotonic()
        figures["really_away_seconds"] = round(since - began, 1)
        figures["live_again_after_return_seconds"] = round(await seconds_until_live(world, load, since), 2)
    figures["alarm_after_quiet_seconds"] = await until(lambda: _cleared(world), 30, "the alarm to clear")
    return figures


async def _highest(world: World, seconds: float) -> float:
    """The alarm's highest value during the outage."""
    end, highest = time.monotonic() + seconds, 0.0
    while time.monotonic() < end:
        highest = max(highest, await _alarm(world))
        await asyncio.sleep(0.5)
    return highest


async def _alarm(world: World) -> float:
    relays = [member for member in world.fleet.members.values() if member.role == "relay"]
    return max([await relay.metric(ALARM) or 0.0 for relay in relays])


async def _cleared(world: World) -> str | None:
    now = await _alarm(world)
    return f"{now:.1f}" if now < 1.0 else None


async def poison(world: World, count: int) -> Figures:
    """Poison for one group, each under a key of its own and followed by more of that key: the other groups do not notice.

    Fewer than the 100 a minute at which the group would stop itself.
    """
    figures: Figures = {"poisoned": count}
    async with under_load(world, figures) as load:
        before = await _lags(world, load)
        for number in range(count):
            await _poison(load, number)
        await further(load, 30)
        after = await _lags(world, load)
        figures["live_seconds_beside_poison"] = round(await seconds_until_live(world, load, time.monotonic()), 2)
    figures["projection_lag_records"] = {"before": before, "with_poison": after}
    return figures


async def _poison(load: Load, number: int) -> None:
    """A record that nobody can read, and a sound command behind it under the same key, which must wait."""
    item = uuid4()
    key = f"north|work_item|{item}".encode()
    whole = [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(uuid5(item, "poison")).encode()),
        ("ce_source", b"casestream.import"),
        ("ce_type", b"ApplyAction"),
        ("ce_tenant", b"north"),
        ("content-type", b"application/json"),
    ]
    broken = (b"{", json.dumps({"workItemId": str(item), "schemaVersion": 99}).encode(), b"\xff\xfe")[number % 3]
    follower = [*whole]
    follower[1] = ("ce_id", str(uuid5(item, "follower")).encode())
    await load.record(key, broken, whole, COMMANDS_TOPIC)
    await load.record(key, json.dumps({"workItemId": str(item), "action": "Resolve"}).encode(), follower, COMMANDS_TOPIC)


async def _lags(world: World, load: Load, samples: int = 10) -> dict[str, int]:
    """Records that the projection is behind, sampled: median and highest."""
    projections = [member for member in world.fleet.members.values() if member.role == "projections"]
    found = []
    for _ in range(samples):
        found.append(int(sum([await member.metric("kafka_consumergroup_lag") or 0 for member in projections])))
        await further(load, 5)
    return {"median": sorted(found)[samples // 2], "highest": max(found)}


async def clock_jumps(world: World, jumps: Sequence[float], dwell: float) -> Figures:
    """The database's clock jumps by hours under load: leases, idempotency and business times must bear it."""
    figures: Figures = {"jumps_hours": list(jumps)}
    back: list[float] = []
    async with under_load(world, figures) as load:
        try:
            for hours in jumps:
                since = time.monotonic()
                await shift_clock(world, hours)
                back.append(await seconds_until_live(world, load, since))
                await asyncio.sleep(dwell)
                await further(load, 30)
        finally:
            await shift_clock(world, 0)
        await seconds_until_live(world, load, time.monotonic())
    figures["live_again_seconds"] = summary(back)
    return figures


async def shift_clock(world: World, hours: float) -> None:
    """The database's clock, so many hours from the right time."""
    conn = await asyncpg.connect(world.owner_url)
    try:
        await conn.execute(
            "create or replace function cs_now() returns timestamptz language sql stable parallel safe "
            f"return statement_timestamp() + interval '{hours * 3600:.0f} seconds'"
        )
    finally:
        await conn.close()


async def many_events(world: World, count: int, samples: int = 10) -> Figures:
    """Events straight onto the topic, through the board: what the projection's memory does meanwhile."""
    member = next(member for member in world.fleet.members.values() if member.role == "projections")
    figures: Figures = {"events": 0, "rss_mb": []}
    per_sample, began = max(10, count // samples), time.monotonic()
    for number in range(samples):
        items = await _publish(world, per_sample // 10, number)
        figures["events"] += len(items) * 10
        query = "select count(*) >= $1 from projections.work_item_board__v1 where ce_sequence = 10"
        await asked(world, query, figures["events"] // 10, what="the board to show all of them", deadline=900)
        figures["rss_mb"].append(round(member.rss_mb(), 1))
    figures["events_per_second"] = round(figures["events"] / (time.monotonic() - began))
    # After the first tenth caches and allocator have reached their size.
    figures["growth_mb"] = round(figures["rss_mb"][-1] - figures["rss_mb"][1], 1)
    return figures


async def _publish(world: World, items: int, number: int) -> list[UUID]:
    """Items of ten events each, interleaved."""
    made = [uuid5(UUID(int=number), str(index)) for index in range(items)]
    client = producer(world.settings)
    await client.start()
    try:
        for step in range(1, 11):
            for item in made:
                event = _event(item, step)
                await client.send(EVENTS_TOPIC, event.data, (event.partitionkey or "").encode(), headers=to_headers(event))
        await client.flush()
    finally:
        await client.stop()
    return made


def _event(item: UUID, step: int) -> CloudEvent:
    at = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(minutes=step)
    common: dict[str, Any] = {
        "work_item_id": str(item),
        "version": step,
        "changed_by": "an",
        "changed_at": at,
        "source": "IMPORT",
    }
    waiting = step % 2 == 0
    payload = (
        WorkItemCreated(**common, priority="medium")
        if step == 1
        else WorkItemStatusChanged(
            **common,
            old_status="in_progress" if waiting else "waiting_customer",
            new_status="waiting_customer" if waiting else "in_progress",
            action="SetWaitingCustomer" if waiting else "BackToInProgress",
        )
    )
    return CloudEvent(
        id=str(uuid5(item, str(step))),
        source="casestream",
        type=payload.TYPE,
        tenant="north",
        subject=str(item),
        time=at,
        data=payload.to_json(),
        dataschema=payload.dataschema(),
        partitionkey=f"north|work_item|{item}",
        sequence=step,
    )
