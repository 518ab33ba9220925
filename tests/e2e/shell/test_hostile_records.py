"""Records that once stopped a group: no key and no value, and what a transactional producer leaves in a partition."""

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.consumer import AIOKafkaConsumer

from projections.work_item_board import WorkItemBoard
from schemas.envelope import to_headers
from tests.e2e.shell.harness import create_group_topics, event, member, produce, rows, settings_for
from tests.e2e.shell.test_work_item_board import created
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

TOPIC = "work-items.events.v1"


@pytest.mark.requirement("SP-4")
async def test_a_record_without_key_and_value_is_parked_alone(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    board = WorkItemBoard(1)
    await create_group_topics(fresh_kafka, board, partitions=1)
    await _produce_nothing(fresh_kafka)
    await produce(fresh_kafka, TOPIC, [event(created("i1"), sequence=1)])
    async with member(settings_for(database, fresh_kafka), board):
        await until(lambda: rows(database, "select from projections.work_item_board__v1"), what="the row behind it")
    (parked,) = await rows(database, "select reason, key, value from parked_messages")
    assert (parked["reason"], parked["key"], parked["value"]) == ("undecodable", None, None)


async def test_the_position_passes_what_a_transactional_producer_leaves(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    board = WorkItemBoard(1)
    await create_group_topics(fresh_kafka, board, partitions=1)
    producer = AIOKafkaProducer(bootstrap_servers=fresh_kafka.bootstrap_servers, transactional_id=fresh_kafka.group("tx"))
    await producer.start()
    try:
        async with producer.transaction():
            sent = event(created("i1"), sequence=1)
            await producer.send(
                fresh_kafka.topic(TOPIC), sent.data, (sent.partitionkey or "").encode(), headers=to_headers(sent)
            )
    finally:
        await producer.stop()
    # The broker writes the marker a moment after it has answered.
    end = await until(lambda: _end(fresh_kafka), what="the record and the marker behind it")
    async with member(settings_for(database, fresh_kafka), board):
        found = "select from consumer_offsets where next = $1"
        await until(lambda: rows(database, found, end), what="the position behind the markers")
    assert await rows(database, "select from projections.work_item_board__v1")
    assert not await rows(database, "select * from parked_messages")


async def _produce_nothing(kafka: FreshKafka) -> None:
    """A record that a client refuses to send singly: its batch is built by hand."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    await producer.start()
    try:
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=None)
        await (await producer.send_batch(batch, kafka.topic(TOPIC), partition=0))
    finally:
        await producer.stop()


async def _end(kafka: FreshKafka) -> int | None:
    """The end behind record and marker; None before."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers)
    await consumer.start()
    try:
        place = TopicPartition(kafka.topic(TOPIC), 0)
        end = int((await consumer.end_offsets([place]))[place])
        return end if end > 1 else None
    finally:
        await consumer.stop()
