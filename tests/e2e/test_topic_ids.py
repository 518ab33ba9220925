"""What a broker calls its topics by: the same for as long as a topic lives, another for one of the same name made later."""

import pytest

from runtime.kafka import admin
from runtime.settings import Settings
from runtime.topic_ids import topic_ids
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until


@pytest.mark.requirement("SP-6")
async def test_a_topic_made_anew_has_another_id(fresh_kafka: FreshKafka) -> None:
    topics = ["crm.entity.events", "rules.commands.v1"]
    await fresh_kafka.create_topics(topics, 2)
    names = [fresh_kafka.topic(topic) for topic in topics]
    settings = Settings.load(
        {
            "DATABASE_URL": "postgresql://nobody@127.0.0.1/none",
            "KAFKA_BOOTSTRAP_SERVERS": fresh_kafka.bootstrap_servers,
            "CASESTREAM_TOPIC_PREFIX": fresh_kafka.prefix,
        }
    )
    client = admin(settings)
    await client.start()
    try:
        first = await topic_ids(client, [*names, fresh_kafka.topic("no-such-topic")])
        assert sorted(first) == sorted(names)
        assert await topic_ids(client, names) == first

        await client.delete_topics(names[:1])

        async def gone() -> bool:
            return names[0] not in await topic_ids(client, names)

        await until(gone, what="the topic to go")
        await fresh_kafka.create_topics(topics[:1], 2)

        async def back() -> bool:
            return names[0] in await topic_ids(client, names)

        await until(back, what="the topic to come back")
        later = await topic_ids(client, names)
        assert later[names[0]] != first[names[0]]
        assert later[names[1]] == first[names[1]]
    finally:
        await client.close()
