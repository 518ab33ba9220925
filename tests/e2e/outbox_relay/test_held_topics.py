"""A partition without a leader holds up its own topic and no other, though their rows share a shard."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from outbox_relay import relay
from runtime.settings import Settings
from runtime.stack.kafka import KafkaCluster
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.outbox_relay.rows import TOPIC, OutboxRow, insert, name_in_shard
from tests.waiting import until

STUCK, STUCK_NODE, LIVING_NODE, SHARD = "crm.entity.commands", 3, 1, 5


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(relay.run(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


async def topics_on_one_node_each(cluster: KafkaCluster) -> None:
    alone = {"min.insync.replicas": "1"}
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap_servers)
    await admin.start()
    try:
        for name, node in ((STUCK, STUCK_NODE), (TOPIC, LIVING_NODE)):
            await admin.create_topics([NewTopic(name, -1, -1, replica_assignments={0: [node]}, topic_configs=alone)])
    finally:
        await admin.close()


async def arrived(cluster: KafkaCluster, topic: str, number: int) -> list[bytes]:
    async with AIOKafkaConsumer(topic, bootstrap_servers=cluster.bootstrap_servers, auto_offset_reset="earliest") as reader:
        return [bytes((await reader.getone()).value) for _ in range(number)]


@pytest.mark.requirement("SP-2")
async def test_other_topics_of_a_shard_flow_while_one_has_no_leader(
    own_kafka: Callable[..., KafkaCluster], database: ClonedDatabase
) -> None:
    cluster = own_kafka(nodes=3, heap="256m")
    await topics_on_one_node_each(cluster)
    settings = Settings.load(
        {"DATABASE_URL": database.url("migrate"), "KAFKA_BOOTSTRAP_SERVERS": cluster.nodes[LIVING_NODE].address.bootstrap}
    )
    stuck, flowing = name_in_shard(SHARD), name_in_shard(SHARD, start=500)
    writer = await asyncpg.connect(database.url("worker"))
    async with running(settings):
        await insert(writer, [OutboxRow(stuck, 1, b"1", STUCK), OutboxRow(flowing, 1, b"1")])
        await until(lambda: _is(writer, 0), what="both topics to flow")

        cluster.kill(STUCK_NODE)
        took: list[float] = []
        for number in range(2, 8):
            await insert(writer, [OutboxRow(stuck, number, b"%d" % number, STUCK), OutboxRow(flowing, number, b"%d" % number)])
            began = time.monotonic()
            await until(lambda: _is(writer, 0, TOPIC), what=f"row {number} of the living topic")
            took.append(time.monotonic() - began)
        # The first page may have to expire; from then on nothing waits for the dead leader.
        assert sorted(took[1:])[len(took[1:]) // 2] < 8, took
        assert await _is(writer, 6, STUCK)

        cluster.start(STUCK_NODE)
        await until(lambda: _is(writer, 0), deadline=60, what="the stuck topic to flow again")
    await writer.close()

    sent = [b"%d" % number for number in range(1, 8)]
    # An unclear page is sent again: a row may come twice, but never behind a later one for the first time.
    assert list(dict.fromkeys(await arrived(cluster, STUCK, 7))) == sent
    assert list(dict.fromkeys(await arrived(cluster, TOPIC, 7))) == sent


async def _is(writer: asyncpg.Connection, rows: int, topic: str = "%") -> bool:
    return bool(await writer.fetchval("select count(*) = $1 from outbox_events where topic like $2", rows, topic))
