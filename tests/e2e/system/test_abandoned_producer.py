"""A producer that is given up while its broker is silent: nothing of it is sent later, and nobody waits for it."""

import asyncio
import os
import signal
import time
from collections.abc import Callable

from runtime.kafka import abandon, producer
from runtime.settings import Settings
from runtime.stack.kafka import KafkaCluster
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until


async def test_abandoning_does_not_wait_for_a_silent_broker(own_kafka: Callable[..., KafkaCluster]) -> None:
    cluster = own_kafka()
    [topic] = await FreshKafka(cluster.bootstrap_servers).create_topics(["work-items.events.v1"], partitions=1)
    given = {"DATABASE_URL": "postgresql://x:y@127.0.0.1:1/x", "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers}
    client = producer(Settings.load(given))
    await client.start()
    await client.send_and_wait(topic, b"first", partition=0)
    [broker] = [node.process for node in cluster.nodes.values()]
    assert broker is not None
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        future = await client.send(topic, b"second", partition=0)
        await until(lambda: client._sender._in_flight, what="the request to be on its way")
        began = time.monotonic()
        await abandon(client)

        # Whoever waits for news of a closed client waits ten seconds.
        assert time.monotonic() - began < 8
        assert isinstance((await asyncio.gather(future, return_exceptions=True))[0], Exception)
    finally:
        os.kill(broker.pid, signal.SIGCONT)
