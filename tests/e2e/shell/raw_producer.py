"""Records that no decent client sends: a batch built by hand, with a header whose name is not UTF-8."""

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.codec import lz4_encode
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from schemas.envelope import CloudEvent, to_headers
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

# Stands for the broken byte until the batch is built; as long in UTF-8 as what replaces it.
_HEAD, _LZ4 = 61, 3
_STAND_IN, _BROKEN = "x-zz", b"x-\xff\xfe"


async def produce_with_broken_header(
    kafka: FreshKafka, topic: str, partition: int, events: list[CloudEvent], broken: set[int], compressed: bool = False
) -> None:
    """Send the events as one batch to a partition; those at the positions in `broken` get the bad header."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1_000_000,
    )
    for position, event in enumerate(events):
        extra = [(_STAND_IN, b"1")] if position in broken else []
        key = (event.partitionkey or "").encode()
        builder.append(position, 1_767_600_000_000, key, event.data, [*to_headers(event), *extra])
    await _send(kafka, topic, partition, _spoil(bytes(builder.build()), compressed))


def _spoil(batch: bytes, compressed: bool) -> bytes:
    head, records = bytearray(batch[:_HEAD]), batch[_HEAD:].replace(_STAND_IN.encode(), _BROKEN)
    if compressed:
        records = lz4_encode(records)
        head[21:23] = _LZ4.to_bytes(2, "big")
    head[8:12] = (_HEAD - 12 + len(records)).to_bytes(4, "big")
    # The checksum covers everything behind itself.
    head[17:21] = calc_crc32c(bytes(head[21:]) + records).to_bytes(4, "big")
    return bytes(head) + records


async def _send(kafka: FreshKafka, topic: str, partition: int, batch: bytes) -> None:
    client = AIOKafkaClient(bootstrap_servers=kafka.bootstrap_servers)
    await client.bootstrap()
    try:
        physical = kafka.topic(topic)
        await client.add_topic(physical)

        async def taken() -> bool:
            # A new topic's leader is not known everywhere at once.
            await client.force_metadata_update()
            leader = client.cluster.leader_for_partition(TopicPartition(physical, partition))
            request = ProduceRequest(
                transactional_id=None, required_acks=-1, timeout=10_000, topics=[(physical, [(partition, batch)])]
            )
            ((_, ((_, error, *_),)),) = (await client.send(leader, request)).topics
            return bool(error == 0)

        await until(taken, what="the broker to take the batch")
    finally:
        await client.close()
