"""One poll: what the client holds, and what has come to the broker since; where there is neither, what comes next.

The client asks when a batch begins, and asks again when nothing is left of the answer. So after a long batch it holds the
little that came at its beginning, and the rest would wait for one more batch.

A member that is far behind gets several batches at once, its portions: while one commits, the next is decoded.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord, TopicPartition

POLL_MS = 200
# A broker that has something answers at once.
NEWER_MS = 5
# Of one poll: few, because a member's other duties wait for the last.
MOST_PORTIONS = 4
# Records that are decoded before the batch that commits meanwhile has its turn: half a millisecond.
AT_A_TIME = 20

Place = TypeVar("Place")
Read = TypeVar("Read")
Fetched = Mapping[Place, Sequence[ConsumerRecord[bytes, bytes]]]


async def fetch(client: AIOKafkaConsumer, most: int, rewind: Callable[[], None]) -> Fetched[TopicPartition]:
    """At most so many records, in order for each partition. `rewind` is called where some were taken and then it raises."""
    held: Fetched[TopicPartition] = await client.getmany(timeout_ms=0, max_records=most)
    if not held:
        return await client.getmany(timeout_ms=POLL_MS, max_records=most)
    if (left := most - sum(map(len, held.values()))) <= 0:
        return held
    try:
        newer: Fetched[TopicPartition] = await client.getmany(timeout_ms=NEWER_MS, max_records=left)
    except Exception:
        # What the client gave away already is not lost: it is read again.
        rewind()
        raise
    return {place: [*held.get(place, ()), *newer.get(place, ())] for place in (*held, *newer)}


def portions(fetched: Fetched[Place], most: int) -> Iterator[Fetched[Place]]:
    """What was fetched, cut into batches of at most so many records, in order for each partition."""
    portion: dict[Place, Sequence[ConsumerRecord[bytes, bytes]]] = {}
    room = most
    for place, records in fetched.items():
        at = 0
        while at < len(records):
            if not room:
                yield portion
                portion, room = {}, most
            portion[place] = records[at : at + room]
            at, room = at + len(portion[place]), room - len(portion[place])
    if portion:
        yield portion


async def in_turns(
    fetched: Fetched[Place], read: Callable[[Place, Sequence[ConsumerRecord[bytes, bytes]]], list[Read]]
) -> list[Read]:
    """What `read` makes of the records, a few at a time."""
    found: list[Read] = []
    for place, records in fetched.items():
        for at in range(0, len(records), AT_A_TIME):
            found += read(place, records[at : at + AT_A_TIME])
            await asyncio.sleep(0)
    return found
