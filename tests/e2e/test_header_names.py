"""A producer without checks writes a header name that is no UTF-8: the consumers of the partition go on."""

import struct
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.producer import message_accumulator
from aiokafka.record._crecords import cutil

from runtime import kafka
from runtime.settings import Settings
from tests.infrastructure.topics import FreshKafka

TOPIC = "work-items.commands.v1"


async def write_raw_name(fresh_kafka: FreshKafka, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send one record whose header name is the bytes ff fe: the client's own batch, changed on its way out."""
    build = message_accumulator.BatchBuilder._build

    def spoilt(self: Any) -> bytearray:
        raw = bytes(build(self)).replace(b"!!-name", b"\xff\xfe-name")
        return bytearray(raw[:17] + struct.pack(">I", cutil.crc32c_cython(raw[21:])) + raw[21:])

    with monkeypatch.context() as patch:
        patch.setattr(message_accumulator.BatchBuilder, "_build", spoilt)
        async with AIOKafkaProducer(bootstrap_servers=fresh_kafka.bootstrap_servers) as producer:
            await producer.send_and_wait(topic, b"2", b"k", headers=[("ce_id", b"2"), ("!!-name", b"x")])


@pytest.mark.requirement("SP-4")
async def test_a_partition_is_read_past_such_a_record(fresh_kafka: FreshKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    [topic] = await fresh_kafka.create_topics([TOPIC], partitions=1)
    async with AIOKafkaProducer(bootstrap_servers=fresh_kafka.bootstrap_servers) as producer:
        await producer.send_and_wait(topic, b"1", b"k")
        await write_raw_name(fresh_kafka, topic, monkeypatch)
        await producer.send_and_wait(topic, b"3", b"k")
    environ = {
        "DATABASE_URL": "postgresql://nobody@localhost/nowhere",
        "KAFKA_BOOTSTRAP_SERVERS": fresh_kafka.bootstrap_servers,
    }
    consumer = kafka.consumer(Settings.load(environ))
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek(TopicPartition(topic, 0), 0)
        records = [await consumer.getone() for _ in range(3)]
    finally:
        await consumer.stop()
    assert [record.value for record in records] == [b"1", b"2", b"3"]
    assert records[1].headers == (("ce_id", b"2"), ("??-name", b"x"))
