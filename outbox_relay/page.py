"""One page: the next unsent rows of some shards, packed into one batch after another per partition.

Owns fetching, packing and publishing. Order: within a shard rows come by id, and writers lock their aggregate before they
draw one, so a page holds of each key the oldest unsent events without a hole. Rows of a key meet in one partition, and
a partition's next batch is sent only when the one before it is acknowledged. So whatever happens, Kafka has of each key
a prefix of the page, and exactly that prefix may be deleted. Deletes nothing itself; decides no floor.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from aiokafka import AIOKafkaProducer

from outbox_relay.lease import Lease
from runtime.failpoints import reach
from runtime.partitioner import partition_of
from runtime.sql import Connection, load_queries
from schemas.errors import TransientError
from schemas.headers import unpack_headers

queries = load_queries(__file__)

# Larger events are fetched apart, and a page holds no more of them than PAGE_BYTES.
INLINE_BYTES = 4 * 1024
PAGE_BYTES = 8 * 1024 * 1024

Target = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Page:
    """`rows` are to be published now; `found` is all that the poll saw, which is what a floor may be told."""

    rows: list[Any]
    found: list[Any]

    def first_unsent(self) -> dict[int, int]:
        """The lowest id found in each shard; a shard without rows is missing."""
        first: dict[int, int] = {}
        for row in self.found:
            first.setdefault(row[_SHARD], row[_ID])
        return first

    def full_shards(self, per_shard: int) -> int:
        """How many shards gave as many rows as they were asked for."""
        if len(self.found) < per_shard:
            return 0
        return sum(count >= per_shard for count in Counter(map(itemgetter(_SHARD), self.found)).values())

    def topics(self) -> set[str]:
        return set(map(itemgetter(_TOPIC), self.rows))

    def of(self, topics: Container[str]) -> list[Any]:
        """The rows of these topics. A key's rows share a topic, so none of them overtakes another."""
        return [row for row in self.rows if row[_TOPIC] in topics]


@dataclass(slots=True)
class Parcel:
    """One record batch of one partition, and the ids that are in it."""

    batch: Any
    ids: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Published:
    """How a page ended: ids whose whole prefix Kafka has, the first failure, if any, and the topics that failed."""

    acknowledged: list[int]
    failure: BaseException | None = None
    failed_topics: frozenset[str] = frozenset()


async def fetch_page(conn: Connection, leases: Sequence[Lease], per_shard: int, held_topics: Sequence[str] = ()) -> Page:
    """The first rows above the floor of each lease's shard: (shard, id, topic, key, headers, payload, large)."""
    rows = await queries.fetch_page(
        conn,
        shards=[lease.shard for lease in leases],
        floors=[lease.floor for lease in leases],
        per_shard=per_shard,
        inline_bytes=INLINE_BYTES,
        held_topics=list(held_topics),
    )
    # The join keeps each shard's order, but SQL does not promise it. On sorted input this costs one pass.
    rows.sort(key=itemgetter(_ID))
    large = any(map(itemgetter(_LARGE), rows))
    return Page(await _with_large(conn, rows) if large else rows, rows)


async def _with_large(conn: Connection, rows: list[Any]) -> list[Any]:
    """Cut the page where its large rows pass PAGE_BYTES, and fetch the bytes of those that stay.

    Raises TransientError when somebody deleted some meanwhile: the shard is another's by now.
    """
    total, kept = 0, 0
    for row in rows:
        total += row[_LARGE] or 0
        if total > PAGE_BYTES and kept:
            break
        kept += 1
    page = [tuple(row) for row in rows[:kept]]
    ids = [row[_ID] for row in page if row[_LARGE] is not None]
    shards = list({row[_SHARD] for row in page})
    bytes_of = {row["id"]: row for row in await queries.fetch_large(conn, shards=shards, ids=ids)}
    if len(bytes_of) < len(ids):
        raise TransientError("rows of a page are gone: another relay took the shard over meanwhile; everything is read again")
    return [
        row
        if row[_LARGE] is None
        else (*row[:_HEADERS], bytes_of[row[_ID]]["headers"], bytes_of[row[_ID]]["payload"], row[_LARGE])
        for row in page
    ]


def pack(
    producer: AIOKafkaProducer, rows: Sequence[Any], partitions: Mapping[str, int], now_ms: int
) -> dict[Target, list[Parcel]]:
    """Batches per (topic, partition), each list in id order. This loop is what a row costs: keep it bare."""
    parcels: dict[Target, list[Parcel]] = {}
    for _shard, row_id, topic, key, headers, payload, _large in rows:
        target = (topic, partition_of(key or b"", partitions[topic]))
        queue = parcels.get(target)
        if queue is None:
            queue = parcels[target] = [Parcel(producer.create_batch())]
        unpacked = unpack_headers(headers)
        if queue[-1].batch.append(timestamp=now_ms, key=key, value=payload, headers=unpacked) is None:
            queue.append(Parcel(producer.create_batch()))
            queue[-1].batch.append(timestamp=now_ms, key=key, value=payload, headers=unpacked)
        queue[-1].ids.append(row_id)
    return parcels


async def publish(
    producer: AIOKafkaProducer, parcels: Mapping[Target, list[Parcel]], names: Mapping[str, str], seconds: float
) -> Published:
    """Send every batch and await every acknowledgement, at most so long. `names`: logical topic -> physical.

    Never raises for Kafka's sake: after a failure the producer is in an unclear state and must be abandoned.
    """
    acknowledged: list[int] = []
    failed: set[str] = set()
    deadline = time.monotonic() + seconds
    for turn in range(max(map(len, parcels.values()), default=0)):
        sent: dict[asyncio.Future[Any], tuple[str, Parcel]] = {}
        topic = ""
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                for (topic, partition), queue in parcels.items():
                    if turn < len(queue):
                        parcel = queue[turn]
                        future = await producer.send_batch(parcel.batch, names[topic], partition=partition)
                        future.add_done_callback(_consume)
                        sent[future] = (topic, parcel)
            await reach("relay.after-send")
            await asyncio.wait(sent, timeout=max(0.0, deadline - time.monotonic()))
            failure: BaseException | None = None
        except Exception as error:  # noqa: BLE001 - any error of the client leaves it unclear; the caller rebuilds it
            failure = error
            failed.add(topic)
        for future, (topic, parcel) in sent.items():
            problem = _problem(future)
            if problem is None:
                acknowledged += parcel.ids
            else:
                failed.add(topic)
            failure = failure or problem
        if failure is not None:
            return Published(acknowledged, failure, frozenset(failed))
    return Published(acknowledged)


def _problem(future: "asyncio.Future[Any]") -> BaseException | None:
    if not future.done() or future.cancelled():
        return TimeoutError("no acknowledgement in time")
    return future.exception()


def _consume(future: "asyncio.Future[Any]") -> None:
    """A batch that fails after its page was given up is no news."""
    if not future.cancelled():
        future.exception()


_SHARD, _ID, _TOPIC, _HEADERS, _LARGE = 0, 1, 2, 4, 6
