"""Three brokers in one quorum, killed and started again one by one, and all at once."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from runtime.stack.asking import ask
from runtime.stack.kafka import KafkaCluster, live_brokers
from tests.waiting import until


@asynccontextmanager
async def connected_admin(cluster: KafkaCluster) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap_servers)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def partition_of(cluster: KafkaCluster, topic: str) -> dict[str, Any]:
    """The only partition as the broker that is asked knows it: empty from one that has not heard of the topic yet."""
    async with connected_admin(cluster) as admin:
        [described] = await admin.describe_topics([topic])
        return described["partitions"][0] if described["partitions"] else {}


async def in_sync_is(cluster: KafkaCluster, copies: int) -> bool:
    return len((await partition_of(cluster, "t")).get("isr", [])) == copies


async def led_by(cluster: KafkaCluster) -> list[int]:
    leader = (await partition_of(cluster, "t")).get("leader", -1)
    return [leader] if leader > 0 else []


async def test_a_quorum_survives_its_partition_leader_and_its_own_death(
    own_kafka: Callable[..., KafkaCluster],
) -> None:
    cluster = own_kafka(nodes=3, heap="320m")
    async with connected_admin(cluster) as admin:
        await admin.create_topics([NewTopic("t", 1, 3)])
    await until(lambda: in_sync_is(cluster, 3), what="three copies in sync")
    [leader] = await until(lambda: led_by(cluster), what="a leader of the partition")
    async with AIOKafkaProducer(bootstrap_servers=cluster.bootstrap_servers, acks="all") as producer:
        await producer.send_and_wait("t", b"before", partition=0)
        cluster.kill(leader)
        assert cluster.nodes[leader].process is None
        metadata = await producer.send_and_wait("t", b"after", partition=0)
        assert metadata.offset == 1
    cluster.start(leader)
    await until(lambda: in_sync_is(cluster, 3), what="the killed leader in sync again")

    cluster.kill()
    assert all(node.process is None for node in cluster.nodes.values())
    cluster.start()
    assert ask(live_brokers(cluster.nodes[leader].address.bootstrap)) == {1, 2, 3}
    async with AIOKafkaProducer(bootstrap_servers=cluster.bootstrap_servers, acks="all") as producer:
        assert (await producer.send_and_wait("t", b"later", partition=0)).offset == 2
