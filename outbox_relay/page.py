"""One page: the next unsent rows of some shards, packed into one batch after another per partition.

Owns fetching, packing and publishing. Order: within a shard rows come by id, and writers lock their aggregate before they
draw one, so a page holds of each key the oldest unsent events without a hole. Rows of a key meet in one partition, and
a partition's next batch is sent only when the one before it is acknowledged. So whatever happens, Kafka has of each key
a prefix of the page, and exactly that prefix may be deleted. Deletes nothing itself; decides no floor.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from outbox_relay.lease import Lease
from outbox_relay.record_batch import RecordBatch
from runtime.failpoints import reach
from runtime.partitioner import partition_of
from runtime.sql import Connection, load_queries
from schemas.errors import TransientError

queries = load_queries(__file__)

# Larger events are fetched apart, and a page holds no more of them than PAGE_BYTES.
INLINE_BYTES = 4 * 1024
PAGE_BYTES = 8 * 1024 * 1024

Target = tuple[str, int]


class Slice(NamedTuple):
    """The rows of one shard in id order, column by column. Headers are packed; None where a large row's were not fetched."""

    shard: int
    ids: list[int]
    topics: list[str]
    keys: list[bytes | None]
    headers: list[bytes]
    payloads: list[bytes | None]

    def rows(self) -> Iterator[tuple[int, str, bytes | None, bytes, bytes | None]]:
        """(id, topic, key, headers, payload)."""
        return zip(self.ids, self.topics, self.keys, self.headers, self.payloads, strict=True)


@dataclass(frozen=True, slots=True)
class Page:
    """`slices` are to be published now; `found` is all that the poll saw, which is what a floor may be told."""

    slices: list[Slice]
    found: list[Slice]

    def first_unsent(self) -> dict[int, int]:
        """The lowest id found in each shard; a shard without rows is missing."""
        return {found.shard: found.ids[0] for found in self.found}

    def full_shards(self, per_shard: int) -> int:
        """How many shards gave as many rows as they were asked for."""
        return sum(len(found.ids) >= per_shard for found in self.found)

    def topics(self) -> set[str]:
        return set(chain.from_iterable(part.topics for part in self.slices))


@dataclass(slots=True)
class Parcel:
    """One record batch of one partition, and the ids that are in it."""

    batch: RecordBatch
    ids: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Published:
    """How a page ended: ids whose whole prefix Kafka has, the first failure, if any, and the topics that failed."""

    acknowledged: list[int]
    failure: BaseException | None = None
    failed_topics: frozenset[str] = frozenset()


async def fetch_page(conn: Connection, leases: Sequence[Lease], per_shard: int, held_topics: Sequence[str] = ()) -> Page:
    """The first rows above the floor of each lease's shard."""
    answer = await queries.fetch_page(
        conn,
        shards=[lease.shard for lease in leases],
        floors=[lease.floor for lease in leases],
        per_shard=per_shard,
        inline_bytes=INLINE_BYTES,
        held_topics=list(held_topics),
    )
    found = [Slice(*row[:_SIZES]) for row in answer]
    if not any(row[_SIZES] for row in answer):
        return Page(found, found)
    sizes: dict[int, int] = {}
    for part, row in zip(found, answer, strict=True):
        large = (row_id for row_id, headers in zip(part.ids, part.headers, strict=True) if not headers)
        sizes.update(zip(large, row[_SIZES] or (), strict=True))
    return Page(await _with_large(conn, found, sizes), found)


async def _with_large(conn: Connection, found: Sequence[Slice], sizes: Mapping[int, int]) -> list[Slice]:
    """Cut the page, oldest rows first, where its large ones pass PAGE_BYTES, and fetch the bytes of those that stay.

    Raises TransientError when somebody deleted some meanwhile: the shard is another's by now.
    """
    last = _last_that_fits(sorted(chain.from_iterable(part.ids for part in found)), sizes)
    ids = [row_id for row_id in sizes if row_id <= last]
    answer = await queries.fetch_large(conn, shards=[part.shard for part in found], ids=ids)
    bytes_of = {row["id"]: (row["headers"], row["payload"]) for row in answer}
    if len(bytes_of) < len(ids):
        raise TransientError("rows of a page are gone: another relay took the shard over meanwhile; everything is read again")
    kept = [
        (part.shard, [(*row[:_HEADERS], *bytes_of.get(row[0], row[_HEADERS:])) for row in part.rows() if row[0] <= last])
        for part in found
    ]
    return [Slice(shard, *map(list, zip(*rows, strict=True))) for shard, rows in kept if rows]


def _last_that_fits(ids: Sequence[int], sizes: Mapping[int, int]) -> int:
    """The first row always fits."""
    total, last = 0, ids[0]
    for row_id in ids:
        total += sizes.get(row_id, 0)
        if total > PAGE_BYTES and row_id != ids[0]:
            return last
        last = row_id
    return last


def pack(slices: Sequence[Slice], partitions: Mapping[str, int], now_ms: int) -> dict[Target, list[Parcel]]:
    """Batches per (topic, partition), each list in the order of its shards' ids. Rows of other topics are left out: a key's
    rows share a topic, so none of them overtakes another. This loop is what a row costs: keep it bare."""
    parcels: dict[Target, list[Parcel]] = {}
    for part in slices:
        for row_id, topic, key, headers, payload in part.rows():
            if topic not in partitions:
                continue
            target = (topic, partition_of(key or b"", partitions[topic]))
            queue = parcels.get(target)
            if queue is None:
                queue = parcels[target] = [Parcel(RecordBatch(now_ms))]
            if not queue[-1].batch.append(key, payload, headers):
                queue.append(Parcel(RecordBatch(now_ms)))
                queue[-1].batch.append(key, payload, headers)
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


_HEADERS, _SIZES = 3, 6
