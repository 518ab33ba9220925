"""The run: leads change, processes die at every point of their work, the clock moves on, and the past is read again.

1. every event is told one to five times, while the rules group and the effects worker are killed and started with other
   batch sizes;
2. when all is quiet the database's clock moves on by hours: dates, the night's schedule and what waited fall due, while
   the scheduler is killed;
3. the books are judged;
4. the inbox is emptied and the rules group moved to its first offsets: nothing may change.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import asyncpg
from aiokafka import AIOKafkaProducer

from runtime.failpoints import VARIABLE
from runtime.watermarks import watermarks
from schemas.envelope import to_headers
from schemas.registry import RULES
from tests.e2e.operations.commands import casestream
from tests.infrastructure.databases import ClonedDatabase
from tests.torture.rules.books import book
from tests.torture.rules.books.oracle import Expected, expect
from tests.torture.rules.books.sinks import Sinks, sinks
from tests.torture.rules.books.traffic import Lives, Told, as_event, deliveries
from tests.torture.rules.books.verdict import Done, Figures, judge, look
from tests.torture.system.attacks_slow import shift_clock
from tests.torture.system.fleet import Member
from tests.torture.system.lives import TENANTS
from tests.torture.system.world import World, world
from tests.waiting import until

ROLES = ("relay", "workflow-engine", "entities", "work-items", "effects", "timers")
TOPICS = ("crm.entity.", "rules.", "effects.", "work-items.", "onboarding.events")
READ = {
    "workflow-engine": ("crm.entity.events", "rules.commands.v1"),
    "entities": ("crm.entity.events",),
    "work-items": ("work-items.commands.v1",),
}
EVENTS_TOPIC = "crm.entity.events"
HOURS = 7
# Where a process dies: at each point of its work, every life at another.
POINTS = {
    "workflow-engine-0": (
        "shell.after-fence", "shell.after-save", "shell.before-commit", "shell.after-commit", "shell.after-fetch",
    ),
    "effects-0": ("effects.called", "effects.recording", "effects.recorded", "effects.claimed"),
    "timers-0": ("timers.firing", "timers.fired"),
}  # fmt: skip
BATCHES = (1000, 7, 100, 350, 25)
# A life that meets its point no more, because there is nothing left to do, ends from outside.
_LONGEST_LIFE = 15.0


@dataclass
class Play:
    """One run under way."""

    world: World
    sinks: Sinks
    events: Sequence[Told]
    ends: datetime
    dice: random.Random

    @cached_property
    def expected(self) -> Expected:
        """What the oracle says."""
        return expect(self.events, self.ends)

    async def done(self) -> Done:
        """The books now."""
        conn = await self.world.connect()
        try:
            return await look(conn, self.sinks)
        finally:
            await conn.close()

    async def settled(self, deadline: float) -> None:
        """Until every message is read, nothing waits to be sent or called, and no timer is due."""
        await until(self._is_settled, deadline, "everything to come to rest")

    async def _is_settled(self) -> bool:
        if await self.world.value(_BUSY):
            return False
        topics = sorted({topic for several in READ.values() for topic in several})
        async with watermarks(self.world.settings) as kafka:
            ends = {place: end for place, (_, end) in (await kafka.bounds(topics)).items() if end}
        conn = await self.world.connect()
        try:
            rows = await conn.fetch("select group_name, topic, partition, next from consumer_offsets")
        finally:
            await conn.close()
        at = {(row["group_name"], row["topic"], row["partition"]): row["next"] for row in rows}
        read = all(
            at.get((group, place.topic, place.partition), 0) == end
            for group, several in READ.items()
            for place, end in ends.items()
            if place.topic in several
        )
        return read and not await self.world.value(_BUSY)

    async def kill(self, name: str, times: int) -> int:
        """Let a process die so often, each time at another point of its work; the last one lives. How many died at a point."""
        member, points, at_point = self.world.fleet[name], POINTS[name], 0
        own = dict(member.environment)
        member.kill()
        for number in range(times - 1):
            passage = self.dice.randint(1, 3)
            member.environment = {**own, VARIABLE: f"{points[number % len(points)]}:{passage}", _BATCH: self._batch(number)}
            member.start()
            at_point += await _died(member)
        member.environment = own
        member.start()
        return at_point

    def _batch(self, number: int) -> str:
        return str(BATCHES[number % len(BATCHES)])

    async def read_again(self) -> None:
        """Empty the inbox and move the rules group to the first offsets, as an operator would."""
        await self._execute("delete from inbox")
        for topic in READ["workflow-engine"]:
            told = ("--to-earliest", "--below-inbox", "the books", "--reason", "the books", "--execute")
            await casestream(self.world.environment, "offsets", "move", "--group", RULES.name, "--topic", topic, *told)

    async def forget(self, told: Told) -> None:
        """For a negative control: what keeps this change of a lead from being done again is gone, against every trigger."""
        conn = await asyncpg.connect(self.world.postgres.url())
        try:
            await conn.execute("set session_replication_role = replica")
            await conn.execute("delete from inbox")
            await conn.execute(_FORGET, book.HOT, f"event|crm|{told.id}")
        finally:
            await conn.close()

    async def _execute(self, statement: str, *arguments: object) -> None:
        conn = await self.world.connect()
        try:
            await conn.execute(statement, *arguments)
        finally:
            await conn.close()


_BATCH = "CASESTREAM_CONSUMER__BATCH_MAX_RECORDS"
_FORGET = """
    with gone as (
        delete from workflow_execution_logs where rule_name = $1 and occurrence = $2 returning tenant_id, id)
    delete from effects e using gone where e.tenant_id = gone.tenant_id and e.owner_id = gone.id::text"""
_BUSY = """
    select exists (select from outbox_events)
        or exists (select from effects where finished_at is null and state <> 'waiting'
                     and not (state = 'delayed' and due_at > cs_now()))
        or exists (select from timers where state = 'armed' and due_at <= cs_now())"""


async def _died(member: Member) -> int:
    process = member.process
    assert process is not None
    try:
        await until(lambda: process.poll() is not None, _LONGEST_LIFE, "its end")
    except AssertionError:
        member.kill()
        return 0
    return 1


@asynccontextmanager
async def stage(events: int, seed: int = 1) -> AsyncIterator[Play]:
    """Processes, sinks, rules, and the leads whose lives will be told."""
    async with sinks() as heard, world(1, ROLES, TOPICS, **_settings(heard)) as made:
        now = datetime.now(UTC)
        told = Lives(seed, now).told(events)
        night = now + timedelta(hours=3)
        cron = f"{night.minute} {night.hour} {night.day} {night.month} *"
        for tenant in TENANTS:
            await book.write(ClonedDatabase("postgres", made.postgres.url()), tenant, heard.hooks.port, cron)
        yield Play(made, heard, told, now + timedelta(hours=HOURS), random.Random(seed))


def _settings(heard: Sinks) -> dict[str, str]:
    return {
        "CASESTREAM_OUTBOUND__DEVELOPMENT_TARGETS": f'["127.0.0.1:{heard.hooks.port}"]',
        "CASESTREAM_SMTP__HOST": "127.0.0.1",
        "CASESTREAM_SMTP__PORT": str(heard.mails.port),
        "CASESTREAM_SMTP__SECURITY": "none",
        "CASESTREAM_SMTP__SENDER": "crm@example.com",
        "CASESTREAM_EFFECTS__LEASE_SECONDS": "2",
        "CASESTREAM_EFFECTS__RENEW_SECONDS": "0.5",
        "CASESTREAM_EFFECTS__CIRCUIT_FAILURES": "1000",
    }


async def tell(play: Play, told_now: Iterable[Told]) -> int:
    """Send these, in order; how many there were."""
    producer = AIOKafkaProducer(
        bootstrap_servers=play.world.kafka.bootstrap_servers, enable_idempotence=True, linger_ms=5, max_batch_size=256 * 1024
    )
    await producer.start()
    sent = 0
    try:
        for told in told_now:
            event = as_event(told)
            key = (event.partitionkey or "").encode()
            await producer.send(EVENTS_TOPIC, event.data, key, headers=to_headers(event))
            sent += 1
        await producer.flush()
    finally:
        await producer.stop()
    return sent


async def books(play: Play, kills: int, deadline: float = 120.0) -> Figures:
    """Steps 1 to 4: figures, and the two verdicts."""
    began = time.monotonic()
    telling = asyncio.create_task(tell(play, deliveries(play.events, seed=2)))
    at_points = list(await asyncio.gather(play.kill("workflow-engine-0", kills), play.kill("effects-0", kills)))
    sent = await telling
    await play.settled(deadline)
    await shift_clock(play.world, HOURS)
    at_points.append(await play.kill("timers-0", kills))
    await play.settled(deadline)
    done = await play.done()
    verdict = judge(play.expected, done)
    await play.read_again()
    await play.settled(deadline)
    again = await play.done()
    return {
        "events": len(play.events),
        "deliveries": sent,
        "kills": 3 * kills,
        "kills_at_a_point": sum(at_points),
        "expected": {
            "runs": play.expected.runs.total(),
            "tasks": play.expected.tasks.total(),
            "notifications": play.expected.notes.total(),
            "webhooks": len(play.expected.calls),
            "mails": len(play.expected.mails),
        },
        "webhook_calls": len(done.calls),
        "webhook_ids": len({one for one, _ in done.calls}),
        "wrong": dict(verdict.wrong),
        "examples": verdict.examples,
        "changed_by_reading_again": {
            name: [value, again.amounts[name]] for name, value in done.amounts.items() if value != again.amounts[name]
        },
        "ended_by_themselves": play.world.fleet.deaths(),
        "seconds": round(time.monotonic() - began, 1),
    }


def sound(figures: Figures) -> None:
    """Every zero is one, and the chances were there."""
    assert figures["wrong"] == {}, figures
    assert figures["changed_by_reading_again"] == {}, figures
    assert figures["ended_by_themselves"] == [], figures
    assert figures["deliveries"] > figures["events"], figures
    assert all(figures["expected"].values()), figures
