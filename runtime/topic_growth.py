"""More partitions for a topic without breaking the order of any key.

A plain increase sends a key's next event to another partition, whose reader may be ahead of the old one's. So:

    1. refuse what cannot be proved: outside producers, unknown topics, fewer partitions
    2. take every relay shard under a new term: no relay begins another page, deletes a row or moves a floor. Then wait as
       long as a page under way may take: its rows are sent again later, and two copies of an event must not meet on an
       old and a new partition, where two members of a group would apply them at the same time
    3. wait until every group has passed the end of every partition, and has nothing waiting or parked of this topic
    4. add the partitions, to the dead letter topics first (a copy keeps its partition number)
    5. hold on until no producer can still believe in the old count, then give the shards back

The shards are held by a lease that is renewed beside every step (`relay_pause`), so a crash at any step lets the relays go on
by themselves: before step 4 nothing has changed, after it every group has read everything of the old partitions.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import for_code

from runtime.kafka import METADATA_AGE_MS, consumer, physical
from runtime.relay_pause import relays_stopped
from runtime.settings import Settings
from runtime.sql import load_queries
from runtime.topics import find_topics, wait_for_leaders
from schemas.errors import ConfigurationError, TransientError
from schemas.registry import GROUPS, TOPICS, Group, dlt_topic

queries = load_queries(__file__)

_POLL_SECONDS = 0.2
# A relay gives a page up after 15 s and sees within 2 s that its shards are gone.
_QUIET_SECONDS = 20.0
# A producer asks for metadata once in this time; the rest is for the answer.
_FORGET_SECONDS = METADATA_AGE_MS / 1000 + 5.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one group has still to do on a topic. `partitions`: where its position is short of the end, and by how much."""

    group: str
    partitions: Mapping[int, int]
    waiting: int
    parked: int

    @property
    def drained(self) -> bool:
        return not (self.partitions or self.waiting or self.parked)

    def __str__(self) -> str:
        unread = sum(self.partitions.values())
        return f"{self.group}: {unread} unread, {self.waiting} waiting, {self.parked} parked"


@dataclass(frozen=True, slots=True)
class Plan:
    """What growing would do. `unsent`: rows of the outbox that will go to the new partitions."""

    topic: str
    partitions_now: int
    partitions: int
    also: tuple[str, ...]
    backlog: tuple[Backlog, ...]
    unsent: int


class TopicGrowth:
    """Grows one topic. `pool` is one of role cs_scan; `groups` all that there are, by default the registry's."""

    def __init__(
        self,
        settings: Settings,
        pool: asyncpg.Pool,
        admin: AIOKafkaAdminClient,
        topic: str,
        partitions: int,
        groups: Iterable[Group] | None = None,
    ):
        self._settings, self._pool, self._admin = settings, pool, admin
        self._topic, self._partitions = topic, partitions
        self._groups = sorted(one.name for one in (GROUPS.values() if groups is None else groups) if topic in one.topics)
        self._dead_letters = [dlt_topic(topic, group) for group in self._groups]

    async def plan(self, outside_producers_stopped: bool = False) -> Plan:
        """Step 1, and what is to be done. Raises ConfigurationError with every reason against it."""
        found = await self._counts()
        problems = list(self._problems(found, outside_producers_stopped))
        if problems:
            raise ConfigurationError(problems)
        unsent = await queries.count_unsent(self._pool, topic=self._topic)
        also = tuple(name for name in self._dead_letters if found.get(name, self._partitions) < self._partitions)
        return Plan(self._topic, found[self._topic], self._partitions, also, tuple(await self.backlog()), unsent)

    async def execute(
        self,
        plan: Plan,
        drain_seconds: float = 60.0,
        quiet_seconds: float = _QUIET_SECONDS,
        forget_seconds: float = _FORGET_SECONDS,
    ) -> None:
        """Steps 2 to 5. Raises TransientError when the groups do not drain in time; nothing is changed then.

        Raises it, too, when the shards are lost: before step 4 nothing has changed; after it, repeat to finish.
        """
        async with relays_stopped(self._pool, f"topics grow {self._topic}") as shards:
            await asyncio.sleep(quiet_seconds)
            await self._drain(drain_seconds)
            for topic in (*plan.also, plan.topic):
                # The last look before the step that cannot be taken back.
                await shards.renew()
                await self._add_partitions(topic)
            await asyncio.sleep(forget_seconds)

    async def backlog(self) -> list[Backlog]:
        """How far each group of the topic is from having done everything."""
        async with _reader(self._settings) as reader:
            starts, ends = await self._bounds(reader)
        aside = {
            row["group_name"]: row
            for row in await queries.count_set_aside(self._pool, topic=self._topic, group_names=self._groups)
        }
        positions = {
            (row["group_name"], row["partition"]): row["next"]
            for row in await queries.find_positions(self._pool, topic=self._topic, group_names=self._groups)
        }
        return [
            Backlog(
                group,
                # A group that never began has everything before it; an empty partition needs no position.
                {n: end - at for n, end in ends.items() if (at := positions.get((group, n), starts[n])) < end},
                aside[group]["waiting"],
                aside[group]["parked"],
            )
            for group in self._groups
        ]

    def _problems(self, found: Mapping[str, int], outside_producers_stopped: bool) -> list[str]:
        topic = TOPICS.get(self._topic)
        if topic is None:
            known = ", ".join(sorted(TOPICS))
            return [f"topic {self._topic!r} is not in the registry: expected one of {known}"]
        if self._topic not in found:
            return [f"topic {self._topic} does not exist: run `casestream topics apply`"]
        problems = []
        if found[self._topic] >= self._partitions:
            problems.append(
                f"topic {self._topic} has {found[self._topic]} partitions: expected a number above that, "
                f"found {self._partitions}; partitions are never taken away"
            )
        if topic.outside_producers and not outside_producers_stopped:
            problems.append(
                f"topic {self._topic} has producers outside Casestream, whom nothing here can stop: stop them all, "
                "then repeat with --outside-producers-stopped, and start them again only afterwards"
            )
        return problems

    async def _counts(self) -> dict[str, int]:
        names = {physical(self._settings, name): name for name in (self._topic, *self._dead_letters)}
        return {names[name]: each.partitions for name, each in (await find_topics(self._admin, list(names))).items()}

    async def _bounds(self, reader: AIOKafkaConsumer) -> tuple[dict[int, int], dict[int, int]]:
        name = physical(self._settings, self._topic)
        count = (await find_topics(self._admin, [name]))[name].partitions
        places = [TopicPartition(name, number) for number in range(count)]
        starts, ends = await reader.beginning_offsets(places), await reader.end_offsets(places)
        return {p.partition: at for p, at in starts.items()}, {p.partition: at for p, at in ends.items()}

    async def _drain(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while rest := [str(group) for group in await self.backlog() if not group.drained]:
            if time.monotonic() > deadline:
                raise TransientError(
                    f"growing {self._topic} given up after {seconds:g} s, nothing was changed. Not drained: {'; '.join(rest)}. "
                    "Start those groups, redrive or discard what is parked (`casestream dlt list`), then repeat"
                )
            await asyncio.sleep(_POLL_SECONDS)

    async def _add_partitions(self, topic: str) -> None:
        name = physical(self._settings, topic)
        answer: Any = await self._admin.create_partitions({name: NewPartitions(self._partitions)})
        for _, code, text in answer.topic_errors:
            if code != 0:
                raise ConfigurationError(
                    [f"topic {name}: the broker refused {self._partitions} partitions with {for_code(code).__name__}: {text}"]
                )
        await wait_for_leaders(self._admin, {name: self._partitions})


@contextlib.asynccontextmanager
async def _reader(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    reader = consumer(settings)
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()
