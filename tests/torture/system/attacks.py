"""Crashes under load: our processes, the database, the broker, all of it. Each from a world to figures.

What must hold of every one of them is `verdict.sound`; the times that P5 promises are asserted by the callers.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from runtime.kafka import admin
from tests.torture.system.evidence import keep_evidence
from tests.torture.system.load import Load
from tests.torture.system.probes import quiet, seconds_until_live, summary
from tests.torture.system.verdict import EVENTS_TOPIC, Figures, judge, read_events
from tests.torture.system.world import World
from tests.waiting import until

RATE = 60.0
# P5.
PROCESS_SECONDS, SERVER_SECONDS = 10.0, 30.0


@asynccontextmanager
async def under_load(
    world: World, figures: Figures, rate: float = RATE, again: float = 0.05, parked: int = 0
) -> AsyncIterator[Load]:
    """Load beside the body; afterwards quiet, and the judgement is added to `figures`."""
    load = Load(world, rate, again)
    began = time.monotonic()
    try:
        async with load.running():
            await further(load, 40)
            yield load
        figures["seconds_of_load"] = round(time.monotonic() - began, 1)
        figures["seconds_to_quiet"] = round(await quiet(world, load), 2)
        figures["ended_by_themselves"] = world.fleet.deaths()
        figures |= await judge(world, load)
        figures["commands_per_second"] = round(figures["commands"] / figures["seconds_of_load"], 1)
        figures["rss_mb"] = {name: round(member.rss_mb()) for name, member in world.fleet.members.items()}
    except Exception as error:
        await keep_evidence(world, error)
        raise
    finally:
        await load.close()


def promise(figures: Figures, limit: float, *summaries: dict[str, float]) -> None:
    """Notes whether P5 was kept by the slowest of these."""
    slowest = max((each["slowest"] for each in summaries if each), default=0.0)
    figures["p5"] = {"limit_seconds": limit, "slowest_seconds": slowest, "kept": slowest <= limit}


async def further(load: Load, commands: int, deadline: float = 60.0) -> None:
    """Wait until so many further commands were acknowledged: the next victim has something to do."""
    goal = load.oracle.commands + commands
    await until(lambda: load.oracle.commands >= goal, deadline, f"{commands} further commands")


async def kills(world: World, victims: Sequence[str], rounds: int) -> Figures:
    """SIGKILL of one process after the other, started again at once as an orchestrator would."""
    figures: Figures = {"kills": 0}
    back: dict[str, list[float]] = {victim: [] for victim in victims}
    async with under_load(world, figures) as load:
        for _ in range(rounds):
            for victim in victims:
                await further(load, 20)
                since = time.monotonic()
                world.fleet[victim].kill()
                world.fleet[victim].start()
                back[victim].append(await seconds_until_live(world, load, since))
                figures["kills"] += 1
                await world.fleet.ready([victim])
    figures["live_again_seconds"] = {victim: summary(times) for victim, times in back.items()}
    promise(figures, PROCESS_SECONDS, *figures["live_again_seconds"].values())
    return figures


async def takeovers(world: World, victims: Sequence[str], rounds: int) -> Figures:
    """SIGKILL of one of two, which stays away until the other has taken over its part."""
    figures: Figures = {"kills": 0}
    back: dict[str, list[float]] = {victim: [] for victim in victims}
    async with under_load(world, figures) as load:
        for _ in range(rounds):
            for victim in victims:
                await further(load, 20)
                since = time.monotonic()
                world.fleet[victim].kill()
                back[victim].append(await seconds_until_live(world, load, since))
                figures["kills"] += 1
                world.fleet[victim].start()
                await world.fleet.ready([victim])
    figures["taken_over_seconds"] = {victim: summary(times) for victim, times in back.items()}
    promise(figures, PROCESS_SECONDS, *figures["taken_over_seconds"].values())
    return figures


async def server_kills(world: World, rounds: int, crash: Callable[[], Awaitable[None]], name: str) -> Figures:
    """`crash` kills a server and returns when it is back; ours must go on without being started again."""
    figures: Figures = {"kills": 0}
    back: list[float] = []
    async with under_load(world, figures) as load:
        before = world.fleet.pids()
        for _ in range(rounds):
            await further(load, 60)
            await crash()
            since = time.monotonic()
            back.append(await seconds_until_live(world, load, since))
            figures["kills"] += 1
        figures["our_processes_started_again"] = sum(before[name] != pid for name, pid in world.fleet.pids().items())
    figures["server"] = name
    figures["live_again_after_return_seconds"] = summary(back)
    promise(figures, SERVER_SECONDS, figures["live_again_after_return_seconds"])
    return figures


async def postgres_kills(world: World, rounds: int) -> Figures:
    """SIGKILL of the postmaster."""

    async def crash() -> None:
        await asyncio.to_thread(world.postgres.kill9)
        await asyncio.to_thread(world.postgres.start)

    figures = await server_kills(world, rounds, crash, "postmaster")
    figures["api_connections"] = await world.value(
        "select count(*) from pg_stat_activity where usename = 'cs_api' and state = 'idle in transaction'"
    )
    return figures


async def broker_kills(world: World, rounds: int) -> Figures:
    """SIGKILL of every broker there is, at once."""

    async def crash() -> None:
        await asyncio.to_thread(world.kafka.kill)
        await asyncio.to_thread(world.kafka.start)

    return await server_kills(world, rounds, crash, f"all of {len(world.kafka.nodes)} broker(s)")


async def leader_kills(world: World, rounds: int) -> Figures:
    """SIGKILL of the leader of a partition of the events topic; measured from the kill, the node comes back later."""
    figures: Figures = {"kills": 0}
    back: list[float] = []
    async with under_load(world, figures) as load:
        before = world.fleet.pids()
        for number in range(rounds):
            await further(load, 60)
            leader = await _leader(world, number % 4)
            since = time.monotonic()
            await asyncio.to_thread(world.kafka.kill, leader)
            back.append(await seconds_until_live(world, load, since))
            figures["kills"] += 1
            await asyncio.to_thread(world.kafka.start, leader)
            await until(lambda: _all_in_sync(world), 60, "all replicas in sync")
        figures["our_processes_started_again"] = sum(before[name] != pid for name, pid in world.fleet.pids().items())
    figures["live_again_after_kill_seconds"] = summary(back)
    promise(figures, SERVER_SECONDS, figures["live_again_after_kill_seconds"])
    return figures


async def everything(world: World, rounds: int) -> Figures:
    """All our processes, the database and the broker at once, as when the power fails; then all are started."""
    figures: Figures = {"rounds": 0}
    back: list[float] = []
    async with under_load(world, figures) as load:
        for _ in range(rounds):
            await further(load, 60)
            world.fleet.kill()
            await asyncio.gather(asyncio.to_thread(world.postgres.kill9), asyncio.to_thread(world.kafka.kill))
            world.fleet.start()
            await asyncio.gather(asyncio.to_thread(world.postgres.start), asyncio.to_thread(world.kafka.start))
            since = time.monotonic()
            back.append(await seconds_until_live(world, load, since))
            figures["rounds"] += 1
            await world.fleet.ready()
    figures["live_again_after_return_seconds"] = summary(back)
    promise(figures, SERVER_SECONDS, figures["live_again_after_return_seconds"])
    return figures


async def restarts(world: World, victims: Sequence[str], rounds: int) -> Figures:
    """SIGTERM under load, one process after the other: it finishes what it has begun, so nothing comes twice."""
    figures: Figures = {"restarts": 0, "exit_codes_other_than_0": [], "duplicates_seen_by_groups": 0}
    took: list[float] = []
    owners, repeated_before = await _owners(world), (await read_events(world)).repeated
    seen_before = sum([await _duplicates(member) for member in world.fleet.members.values()])
    async with under_load(world, figures, again=0.0) as load:
        # What the load itself repeats (an API that is away) is absorbed at the door and never becomes a second event.
        for number in range(rounds):
            victim = world.fleet[victims[number % len(victims)]]
            await further(load, 15)
            figures["duplicates_seen_by_groups"] += await _duplicates(victim)
            code, seconds = await victim.leave()
            took.append(seconds)
            if code != 0:
                figures["exit_codes_other_than_0"].append((victim.name, code))
            victim.start()
            figures["restarts"] += 1
            await world.fleet.ready([victim.name])
        await seconds_until_live(world, load, time.monotonic())
    figures["delivered_twice_meanwhile"] = figures["chances"]["events_delivered_twice"] - repeated_before
    figures["duplicates_seen_by_groups"] -= seen_before
    figures["duplicates_seen_by_groups"] += sum([await _duplicates(member) for member in world.fleet.members.values()])
    figures["left_within_seconds"] = summary(took)
    figures["partitions_that_changed_owner"] = sum(
        owners.get(place) != owner for place, owner in (await _owners(world)).items()
    )
    return figures


async def freezes(world: World, sleepers: Sequence[str], rounds: int, seconds: float = 8.0) -> Figures:
    """SIGSTOP of one of two of a kind, past its lease and its session, then SIGCONT: it must not act on what it believes."""
    figures: Figures = {"freezes": 0}
    back: list[float] = []
    async with under_load(world, figures) as load:
        for number in range(rounds):
            await further(load, 10)
            frozen = [world.fleet[sleeper] for sleeper in sleepers]
            for member in frozen:
                member.send(signal.SIGSTOP)
            began = time.monotonic()
            back.append(await seconds_until_live(world, load, began))
            await asyncio.sleep(max(0.0, seconds + number % 3 - (time.monotonic() - began)))
            for member in frozen:
                member.send(signal.SIGCONT)
            figures["freezes"] += len(frozen)
            await world.fleet.ready(sleepers)
    figures["live_again_beside_the_frozen_seconds"] = summary(back)
    promise(figures, PROCESS_SECONDS, figures["live_again_beside_the_frozen_seconds"])
    figures["lost_fences"] = sum(
        [await member.metric("consumer_lost_fences_total") or 0 for member in world.fleet.members.values()]
    )
    return figures


async def _owners(world: World) -> dict[tuple[str, str, int], str]:
    conn = await world.connect()
    try:
        rows = await conn.fetch("select group_name, topic, partition, owner from consumer_offsets")
    finally:
        await conn.close()
    return {(row["group_name"], row["topic"], row["partition"]): row["owner"] for row in rows}


async def _duplicates(member: Any) -> int:
    return int(await member.metric("inbox_duplicates_total") or 0)


@asynccontextmanager
async def _admin(world: World) -> AsyncIterator[AIOKafkaAdminClient]:
    client = admin(world.settings)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def _leader(world: World, partition: int) -> int:
    async with _admin(world) as client:
        [topic] = await client.describe_topics([EVENTS_TOPIC])
    return next(int(each["leader"]) for each in topic["partitions"] if each["partition"] == partition)


async def _all_in_sync(world: World) -> bool:
    async with _admin(world) as client:
        topics = await client.describe_topics(await client.list_topics())
    return all(len(each["isr"]) == len(each["replicas"]) for topic in topics for each in topic["partitions"])
