"""The fixtures that every other test stands on."""

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.infrastructure.databases import ClonedDatabase, Role
from tests.infrastructure.topics import FreshKafka


@pytest.mark.parametrize("role", ["migrate", "api", "worker", "scan", "superuser"])
async def test_every_role_logs_into_its_clone(database: ClonedDatabase, role: Role) -> None:
    connection = await asyncpg.connect(database.url(role))
    assert await connection.fetchval("select current_database()") == database.name
    if role != "superuser":
        assert await connection.fetchval("select session_user") == f"cs_{role}"
    await connection.close()


async def test_a_clone_is_migrated_and_belongs_to_the_migrating_role(database: ClonedDatabase) -> None:
    connection = await asyncpg.connect(database.url("migrate"))
    assert await connection.fetchval("select count(*) from schema_migrations") > 0
    owner = "select pg_get_userbyid(datdba) from pg_database where datname = current_database()"
    assert await connection.fetchval(owner) == "cs_migrate"
    await connection.close()


async def test_a_record_goes_through_the_broker(fresh_kafka: FreshKafka) -> None:
    [topic] = await fresh_kafka.create_topics(["work-items.events.v1"], partitions=2)
    async with AIOKafkaProducer(bootstrap_servers=fresh_kafka.bootstrap_servers) as producer:
        await producer.send_and_wait(topic, b"hello", key=b"k")
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=fresh_kafka.bootstrap_servers,
        group_id=fresh_kafka.group("g"),
        auto_offset_reset="earliest",
    )
    async with consumer:
        assert (await consumer.getone()).value == b"hello"
