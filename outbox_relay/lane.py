"""A lane empties a part of the held shards: page after page, on a connection and a producer of its own.

Owns the order of steps within a page:

    1. note what is settled    2. fetch above the floors    3. raise the floors, use only what committed
    4. publish, await all      5. delete what Kafka has, where the term is ours

Step 3 comes with every full page, so that the next poll of a backlog steps over none of its dead rows; else once a second.

A page is never fetched before the last one is deleted, so the rows above a floor are exactly the unsent ones. While one
lane waits for Kafka another one reads: that is the overlap, and it needs no proof, since a shard belongs to one lane.
A topic in trouble (unknown, a partition without leader, a batch that failed) is left out of the polls for a moment.
Never raises for Kafka's sake; any error of the database ends the lane, and with it all that its connections knew.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from outbox_relay import metrics
from outbox_relay.floor import settle
from outbox_relay.held_topics import HeldTopics
from outbox_relay.lease import Lease, ShardLeases
from outbox_relay.page import Page, Parcel, Target, fetch_page, pack, publish, queries
from runtime import kafka
from runtime.failpoints import reach
from runtime.logging import get_logger
from runtime.pauses import pause
from runtime.settings import Settings
from runtime.sql import Connection

log = get_logger(__name__)

PUBLISH_SECONDS = 15.0
FLOOR_SECONDS = 1.0
_METADATA_SECONDS = 2.0
_SECOND_LOOK_SECONDS = 0.2
_NO_LEADER = -1
_TROUBLE_SECONDS = (0.1, 5.0)


class Lane:
    """Lane `number` of `lanes` holds the leased shards whose number leaves that remainder."""

    def __init__(
        self,
        settings: Settings,
        conn: Connection,
        leases: ShardLeases,
        settled: Callable[[], int],
        number: int = 0,
        lanes: int = 1,
    ) -> None:
        self.busy: frozenset[int] = frozenset()
        self._settings, self._conn, self._leases, self._settled = settings, conn, leases, settled
        self._number, self._lanes = number, lanes
        self._producer: AIOKafkaProducer | None = None
        self._full_shards = self._full_before = 0
        self._floors_due = 0.0
        self._last_settled = 0
        self._held = HeldTopics()
        self._failures = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Turns until `stop`; a turn under way is finished."""
        shortest, longest = self._settings.relay.poll_min_ms / 1000, self._settings.relay.poll_max_ms / 1000
        idle = shortest
        await queries.prepare_lane(self._conn)
        try:
            while not stop.is_set():
                published = await self.turn()
                idle = shortest if published else min(idle * 2, longest)
                if self._failures:
                    await pause(stop, self._backoff())
                elif not self._full_shards:
                    await asyncio.sleep(idle)
        finally:
            self.busy = frozenset()
            await self._drop_producer()

    async def turn(self) -> int:
        """One page. Returns how many rows Kafka has acknowledged."""
        leases = [
            lease for shard, lease in self._leases.held.items() if shard % self._lanes == self._number and not lease.leaving
        ]
        self.busy = frozenset(lease.shard for lease in leases)
        self._full_before, self._full_shards = self._full_shards, 0
        if not leases:
            return 0
        settled = self._settled()
        await reach("relay.before-fetch")
        per_shard = self._per_shard(len(leases))
        held = self._held.names(time.monotonic())
        page = await fetch_page(self._conn, leases, per_shard, sorted(held))
        self._full_shards = page.full_shards(per_shard)
        if not held:
            await self._raise_floors(leases, settled, page)
        producer = await self._started_producer() if page.slices and self._leases.trusted else None
        if producer is None:
            return 0
        names = {topic: kafka.physical(self._settings, topic) for topic in page.topics()}
        partitions = await self._partitions(producer, names)
        packed = pack(page.slices, partitions, int(time.time() * 1000))
        parcels = self._with_leader(producer, names, packed)
        return await self._move(producer, names, leases, parcels) if parcels else 0

    async def _move(
        self,
        producer: AIOKafkaProducer,
        names: Mapping[str, str],
        leases: Sequence[Lease],
        parcels: Mapping[Target, list[Parcel]],
    ) -> int:
        """Steps 4 and 5."""
        await reach("relay.before-send")
        began = time.monotonic()
        published = await publish(producer, parcels, names, PUBLISH_SECONDS)
        metrics.PUBLISH_SECONDS.observe(time.monotonic() - began)
        await reach("relay.after-ack")
        if published.acknowledged:
            await self._delete(leases, published.acknowledged)
        self._held.hold(published.failed_topics, time.monotonic())
        self._held.release({topic for topic, _ in parcels} - published.failed_topics)
        if published.failure is not None:
            metrics.PAGE_ABORTS.inc()
            self._failures += 1
            log.warning("page given up, its producer is replaced", error=published.failure, attempt=self._failures)
            await self._drop_producer()
        else:
            self._failures = 0
        return len(published.acknowledged)

    async def _delete(self, leases: Sequence[Lease], ids: list[int]) -> None:
        await reach("relay.before-delete")
        shards, terms = [lease.shard for lease in leases], [lease.term for lease in leases]
        answer = await queries.delete_rows(self._conn, shards=shards, terms=terms, ids=ids)
        await reach("relay.after-delete")
        lost = set(shards) - set(answer["shards"])
        if lost:
            self._leases.forget([lease for lease in leases if lease.shard in lost])
            log.warning("shards were taken over during a page, nothing of them was deleted", shards=sorted(lost))
        metrics.PUBLISHED.inc(len(ids))

    async def _raise_floors(self, leases: Sequence[Lease], settled: int, page: Page) -> None:
        """Step 3. `page` is of a poll that left no topic out: rows that it did not see would end up below a floor."""
        idle = settled == self._last_settled and not self._full_shards
        if idle and time.monotonic() < self._floors_due:
            return
        self._last_settled, self._floors_due = settled, time.monotonic() + FLOOR_SECONDS
        first = page.first_unsent()
        higher = [(lease, settle(settled, lease.floor, first.get(lease.shard))) for lease in leases]
        higher = [(lease, floor) for lease, floor in higher if floor > lease.floor]
        if not higher:
            return
        await reach("relay.before-floor")
        committed = await queries.raise_floors(
            self._conn,
            shards=[lease.shard for lease, _ in higher],
            terms=[lease.term for lease, _ in higher],
            floors=[floor for _, floor in higher],
        )
        await reach("relay.after-floor")
        by_shard = {lease.shard: lease for lease, _ in higher}
        for row in committed:
            by_shard[row["shard"]].floor = row["floor"]

    async def _started_producer(self) -> AIOKafkaProducer | None:
        """The lane's producer, made when there is none; None while Kafka does not answer."""
        if self._producer is None:
            client = kafka.producer(self._settings)
            try:
                await client.start()
            except (KafkaError, OSError) as error:
                self._failures += 1
                log.warning("Kafka does not answer, rows wait in the outbox", error=error, attempt=self._failures)
                await kafka.abandon(client)
                return None
            self._producer = client
        return self._producer

    async def _partitions(self, producer: AIOKafkaProducer, names: Mapping[str, str]) -> dict[str, int]:
        """The partition counts of the topics that Kafka knows; the others are held back alone, for a moment."""
        counts = await asyncio.gather(*(self._count(producer, topic, name) for topic, name in names.items()))
        return {topic: count for topic, count in zip(names, counts, strict=True) if count}

    async def _count(self, producer: AIOKafkaProducer, topic: str, name: str) -> int:
        if known := producer.client.cluster.partitions_for_topic(name):
            return len(known)
        # A topic that was unknown a moment ago keeps the others waiting no more than it takes to hear the same again.
        patience = _SECOND_LOOK_SECONDS if self._held.is_suspect(topic) else _METADATA_SECONDS
        try:
            async with asyncio.timeout(patience):
                return len(await producer.partitions_for(name))
        except (KafkaError, TimeoutError) as error:
            self._held.hold([topic], time.monotonic())
            log.error("topic is unknown, its rows wait; see casestream topics diff", topic=topic, error=error)
            return 0

    def _with_leader(
        self, producer: AIOKafkaProducer, names: Mapping[str, str], parcels: Mapping[Target, list[Parcel]]
    ) -> Mapping[Target, list[Parcel]]:
        """What can be sent at all: a batch for a partition without a leader would hold up its whole page until it expires."""
        cluster: Any = producer.client.cluster
        stuck = {
            target
            for target in parcels
            if cluster.leader_for_partition(TopicPartition(names[target[0]], target[1])) in (None, _NO_LEADER)
        }
        if not stuck:
            return parcels
        self._held.hold({topic for topic, _ in stuck}, time.monotonic())
        log.warning("partitions have no leader, rows of their topics wait", partitions=len(stuck))
        # Nobody waits for it: the next attempt finds what it brought.
        producer.client.force_metadata_update()
        return {target: queue for target, queue in parcels.items() if target not in stuck}

    def _per_shard(self, shards: int) -> int:
        """Few full shards get the whole page among them, but never all of it for one: the others may fill up next."""
        size = self._settings.relay.page_size
        return max(1, size // max(2, self._full_before or shards))

    async def _drop_producer(self) -> None:
        if self._producer is not None:
            client, self._producer = self._producer, None
            await kafka.abandon(client)

    def _backoff(self) -> float:
        first, longest = _TROUBLE_SECONDS
        return min(longest, first * 2.0 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)
