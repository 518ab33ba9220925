"""What one poll of a member brings: what its client holds, and what has come to the broker since."""

from typing import Any

import pytest
from aiokafka import TopicPartition

from processors.shell import fetching
from runtime import kafka
from tests.e2e.shell.conformance import SUBJECTS
from tests.e2e.shell.harness import create_group_topics, produce, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

WORK_ITEMS = SUBJECTS["work-items"]


async def test_a_poll_brings_what_came_while_the_client_held_an_older_answer(
    database: ClonedDatabase, fresh_kafka: FreshKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "NEWER_MS", 30_000)
    await create_group_topics(fresh_kafka, WORK_ITEMS.make(), 1)
    settings, place = settings_for(database, fresh_kafka), TopicPartition(fresh_kafka.topic(WORK_ITEMS.topic), 0)
    client = kafka.consumer(settings)
    await client.start()
    try:
        client.assign([place])
        client.seek(place, 0)
        first, *rest = WORK_ITEMS.history("a", 4)
        await produce(fresh_kafka, WORK_ITEMS.topic, [first])
        fetcher: Any = client._fetcher
        await until(lambda: bool(fetcher._records), what="the client to hold the first")
        await produce(fresh_kafka, WORK_ITEMS.topic, rest)
        found = await fetching.fetch(client, 500, lambda: None)
        assert [record.offset for record in found[place]] == [0, 1, 2, 3]
    finally:
        await client.stop()
