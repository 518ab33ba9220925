"""One record of a topic, looked for backwards from the newest: nobody keeps where an event lies, and Kafka has no index of ids.

    partition   |.........................[ chunk 3 ][ chunk 2 ][ chunk 1 ]|  end, or the latest instant that is asked for
                ^ begin, or the earliest instant

Reads only, as a plain reader without a group, and moves nobody's position. Who names a key reads one partition instead of all
of them; who names an instant reads the minutes around it. Both the records and the seconds are bounded, and the answer says
whether everything that was asked for has been read.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from runtime.kafka import consumer, physical
from runtime.partitioner import partition_of
from runtime.settings import Settings
from schemas.errors import TransientError

Answer = TypeVar("Answer")
_CHUNK = 2_000
_POLL_MS = 500


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where to look, and how much of it. `key`: only in its partition; instants are of the broker's timestamps."""

    most_records: int
    most_seconds: float
    key: bytes | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Search(Generic[Answer]):
    """What was found, and how far the search came. `complete`: there was nothing more to look at."""

    found: Answer | None
    looked_at: int
    complete: bool


async def search(settings: Settings, topic: str, accept: Callable[[Any], Answer | None], bounds: Bounds) -> Search[Answer]:
    """The newest record for which `accept` answers, by its logical topic. Raises TransientError when Kafka does not answer."""
    reader = consumer(settings)
    try:
        async with asyncio.timeout(bounds.most_seconds + _GRACE_SECONDS):
            await reader.start()
            return await _search(reader, physical(settings, topic), accept, bounds)
    except (KafkaError, TimeoutError) as error:
        raise TransientError(f"look for an event in {topic}: Kafka does not answer ({type(error).__name__})") from error
    finally:
        await reader.stop()


async def _search(
    reader: AIOKafkaConsumer, topic: str, accept: Callable[[Any], Answer | None], bounds: Bounds
) -> Search[Answer]:
    ends_at = asyncio.get_running_loop().time() + bounds.most_seconds
    unread, looked_at = await _ranges(reader, topic, bounds), 0
    while unread:
        if looked_at >= bounds.most_records or asyncio.get_running_loop().time() >= ends_at:
            return Search(None, looked_at, complete=False)
        chunk = {place: (max(low, high - _CHUNK), high) for place, (low, high) in unread.items()}
        records = await _read(reader, chunk, ends_at)
        if records is None:
            return Search(None, looked_at, complete=False)
        looked_at += len(records)
        for record in sorted(records, key=lambda one: -one.timestamp):
            if (answer := accept(record)) is not None:
                return Search(answer, looked_at, complete=True)
        unread = {place: (unread[place][0], low) for place, (low, _) in chunk.items() if low > unread[place][0]}
    return Search(None, looked_at, complete=True)


async def _ranges(reader: AIOKafkaConsumer, topic: str, bounds: Bounds) -> dict[TopicPartition, tuple[int, int]]:
    """The offsets to look at, by partition: from, and up to but not with."""
    numbers = sorted(await reader._client._wait_on_metadata(topic) or ())
    if bounds.key is not None and numbers:
        numbers = [partition_of(bounds.key, len(numbers))]
    places = [TopicPartition(topic, number) for number in numbers]
    if not places:
        return {}
    lows: dict[TopicPartition, int] = await reader.beginning_offsets(places)
    highs: dict[TopicPartition, int] = await reader.end_offsets(places)
    if bounds.since is not None:
        lows = await _at(reader, highs, bounds.since)
    if bounds.until is not None:
        highs = await _at(reader, highs, bounds.until)
    return {place: (lows[place], highs[place]) for place in places if lows[place] < highs[place]}


async def _at(reader: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], instant: datetime) -> dict[TopicPartition, int]:
    """The first offset of each partition at or after the instant; its end where there is none."""
    found = await reader.offsets_for_times(dict.fromkeys(ends, int(instant.timestamp() * 1000)))
    return {place: end if found.get(place) is None else found[place].offset for place, end in ends.items()}


async def _read(reader: AIOKafkaConsumer, ranges: Mapping[TopicPartition, tuple[int, int]], ends_at: float) -> list[Any] | None:
    """The records of these ranges; None when the time was over before."""
    reader.assign(list(ranges))
    for place, (low, _) in ranges.items():
        reader.seek(place, low)
    pending, found = set(ranges), list[Any]()
    while pending:
        if asyncio.get_running_loop().time() >= ends_at:
            return None
        batches: dict[TopicPartition, list[Any]] = await reader.getmany(*pending, timeout_ms=_POLL_MS)
        for place, records in batches.items():
            found += [record for record in records if record.offset < ranges[place][1]]
        # By position, not by the last record: a transaction leaves offsets that hold none.
        pending = {place for place in pending if await reader.position(place) < ranges[place][1]}
    return found


# For the first connection, beside the time for reading.
_GRACE_SECONDS = 15.0
