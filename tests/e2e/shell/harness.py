"""Running members of groups inside a test, on the real broker and database, and feeding them records."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer

from processors.shell import GroupMember, Processor
from runtime.ids import uuid7
from runtime.settings import Settings
from schemas.envelope import CloudEvent, to_headers
from schemas.models import Payload
from schemas.registry import MAX_MESSAGE_BYTES, dlt_topic
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.keys import key_environment
from tests.infrastructure.topics import FreshKafka

START = datetime(2026, 1, 5, 8, tzinfo=UTC)


def environ_for(database: ClonedDatabase, kafka: FreshKafka, **overrides: str) -> dict[str, str]:
    """The environment of a process on this test's database and cell."""
    return {
        "DATABASE_URL": database.url("migrate"),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "CASESTREAM_TOPIC_PREFIX": kafka.prefix,
        **key_environment(database),
        **overrides,
    }


def settings_for(database: ClonedDatabase, kafka: FreshKafka, **overrides: str) -> Settings:
    """Settings of a process on this test's database and cell."""
    return Settings.load(environ_for(database, kafka, **overrides))


async def create_group_topics(kafka: FreshKafka, processor: Processor[Any, Any], partitions: int = 2) -> None:
    """The group's topics and their dead letter topics."""
    topics = processor.group.topics
    await kafka.create_topics([*topics, *(dlt_topic(topic, processor.group.name) for topic in topics)], partitions)


@asynccontextmanager
async def member(settings: Settings, processor: Processor[Any, Any], instance: str = "test-0") -> AsyncIterator[GroupMember]:
    """A running member; leaves at the end, and fails the test if it died."""
    stop = asyncio.Event()
    one = GroupMember(settings, processor, instance, stop)
    task = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


def event(payload: Payload, tenant: str = "acme", sequence: int | None = None, **attributes: Any) -> CloudEvent:
    """An event of a work item as our outbox writes it."""
    item = str(getattr(payload, "work_item_id", "x"))
    made = CloudEvent(
        id=str(uuid7()),
        source="casestream",
        type=payload.TYPE,
        tenant=tenant,
        subject=item,
        time=START,
        data=payload.to_json(),
        dataschema=payload.dataschema(),
        partitionkey=f"{tenant}|work_item|{item}",
        sequence=sequence,
    )
    return replace(made, **attributes)


async def produce(
    kafka: FreshKafka, topic: str, events: Sequence[CloudEvent | tuple[bytes | None, bytes | None, list[Any]]]
) -> None:
    """Send events, or raw (key, value, headers), in order."""
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, enable_idempotence=True, max_request_size=MAX_MESSAGE_BYTES
    )
    await producer.start()
    try:
        for item in events:
            key, value, headers = item if isinstance(item, tuple) else (_key(item), item.data, to_headers(item))
            await producer.send(kafka.topic(topic), value, key, headers=headers)
        await producer.flush()
    finally:
        await producer.stop()


def _key(item: CloudEvent) -> bytes | None:
    return item.partitionkey.encode() if item.partitionkey else None


async def rows(database: ClonedDatabase, query: str, *arguments: Any) -> list[dict[str, Any]]:
    """What the database holds, seen by its superuser."""
    conn = await asyncpg.connect(database.url("superuser"))
    try:
        return [dict(row) for row in await conn.fetch(query, *arguments)]
    finally:
        await conn.close()


async def execute(database: ClonedDatabase, statement: str, *arguments: Any) -> None:
    """Changes what the database holds, as its superuser."""
    conn = await asyncpg.connect(database.url("superuser"))
    try:
        await conn.execute(statement, *arguments)
    finally:
        await conn.close()


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)
