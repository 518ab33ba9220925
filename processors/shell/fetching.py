"""One poll: what the client holds, and what has come to the broker since; where there is neither, what comes next.

The client asks when a batch begins, and asks again when nothing is left of the answer. So after a long batch it holds the
little that came at its beginning, and the rest would wait for one more batch.
"""

from collections.abc import Callable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord, TopicPartition

POLL_MS = 200
# A broker that has something answers at once.
NEWER_MS = 5

Fetched = Mapping[TopicPartition, Sequence[ConsumerRecord[bytes, bytes]]]


async def fetch(client: AIOKafkaConsumer, most: int, rewind: Callable[[], None]) -> Fetched:
    """At most so many records, in order for each partition. `rewind` is called where some were taken and then it raises."""
    held: Fetched = await client.getmany(timeout_ms=0, max_records=most)
    if not held:
        return await client.getmany(timeout_ms=POLL_MS, max_records=most)
    if (left := most - sum(map(len, held.values()))) <= 0:
        return held
    try:
        newer: Fetched = await client.getmany(timeout_ms=NEWER_MS, max_records=left)
    except Exception:
        # What the client gave away already is not lost: it is read again.
        rewind()
        raise
    return {place: [*held.get(place, ()), *newer.get(place, ())] for place in (*held, *newer)}
