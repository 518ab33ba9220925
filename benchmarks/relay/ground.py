"""What both relays stand on: one PostgreSQL, one broker, the rows to relay, and a watch on the topic."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from uuid import uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from domain.outbox.append import record_key, shard_of
from runtime import migrations
from runtime.stack.roles import apply_roles
from schemas.envelope import CloudEvent, to_headers
from schemas.headers import pack_headers
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.scratch import new_scratch
from tests.infrastructure.servers import new_kafka, new_postgres, password_of

TOPIC = "work-items.events.v1"
PARTITIONS = 32
KEYS = 5_000
PAYLOAD_BYTES = 300

_COLUMNS = (
    "event_id tenant_id shard aggregate aggregate_id sequence topic key event_type headers payload occurred_at created_by"
).split()
_PEER_TABLE = """
create table if not exists peer_outbox (
    id uuid primary key, aggregatetype varchar(255) not null, aggregateid varchar(255) not null,
    type varchar(255) not null, payload bytea not null)"""
_FILL_PEERS = """
insert into peer_outbox (id, aggregatetype, aggregateid, type, payload)
select gen_random_uuid(), $3, 'acme|work_item|item-' || g % $2::int, 'WORK_ITEM_STATUS_CHANGED',
       convert_to(rpad('{"number":' || g || ',"text":"' || repeat(md5(g::text), 10), $4 - 2) || '"}', 'UTF8')
from generate_series($1::int, $1::int + $5::int - 1) g"""
_ROWS_PER_TRANSACTION = 5_000


@dataclass(frozen=True)
class Ground:
    """The addresses. `superuser_url` is the database's own."""

    superuser_url: str
    database_url: str
    bootstrap: str
    folder: Path

    async def execute(self, statement: str, *arguments: object) -> None:
        conn = await asyncpg.connect(self.superuser_url)
        await conn.execute(statement, *arguments)
        await conn.close()

    async def value(self, query: str, *arguments: object) -> object:
        conn = await asyncpg.connect(self.superuser_url)
        try:
            return await conn.fetchval(query, *arguments)
        finally:
            await conn.close()

    async def fill_ours(self, topic: str, rows: int) -> None:
        conn = await asyncpg.connect(self.superuser_url)
        for start in range(1, rows + 1, _ROWS_PER_TRANSACTION):
            some = [_our_row(topic, number) for number in range(start, min(start + _ROWS_PER_TRANSACTION, rows + 1))]
            await conn.copy_records_to_table("outbox_events", records=some, columns=_COLUMNS)
        await conn.close()
        # Not inside a transaction block, and not while the clock runs.
        await self.execute("vacuum analyze outbox_events")
        await self.execute("checkpoint")

    async def fill_peers(self, topic: str, rows: int) -> None:
        conn = await asyncpg.connect(self.superuser_url)
        for start in range(1, rows + 1, _ROWS_PER_TRANSACTION):
            count = min(_ROWS_PER_TRANSACTION, rows - start + 1)
            await conn.execute(_FILL_PEERS, start, KEYS, topic, PAYLOAD_BYTES, count)
        await conn.close()
        await self.execute("checkpoint")

    async def new_topic(self, name: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs={"max.message.bytes": "4194304"})])
        await admin.close()

    async def drop_topic(self, name: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        await admin.delete_topics([name])
        await admin.close()


def _our_row(topic: str, number: int) -> tuple[object, ...]:
    """What domain/outbox writes for a work item's event: the headers of a CloudEvent, and a payload of 300 bytes."""
    name, now, event_id = f"item-{number % KEYS}", datetime.now(UTC), uuid4()
    key = record_key("acme", "work_item", name)
    headers = to_headers(
        CloudEvent(
            id=str(event_id),
            source="casestream",
            type="WORK_ITEM_STATUS_CHANGED",
            tenant="acme",
            subject=name,
            time=now,
            data=b"",
            dataschema="urn:casestream:work-item-status-changed:1",
            partitionkey=key.decode(),
            sequence=number,
        )
    )
    text = md5(str(number).encode(), usedforsecurity=False).hexdigest() * 10
    payload = f'{{"number":{number},"text":"{text}'[: PAYLOAD_BYTES - 2] + '"}'
    packed = pack_headers(headers)
    event_type, shard = "WORK_ITEM_STATUS_CHANGED", shard_of(key)
    return event_id, "acme", shard, "work_item", name, number, topic, key, event_type, packed, payload.encode(), now, "bench"


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """Servers of their own (fsync on, one broker), gone at the end."""
    scratch = new_scratch()
    postgres, kafka = new_postgres(scratch / "postgres"), new_kafka(scratch / "kafka", heap="1g")
    try:
        await asyncio.to_thread(postgres.start)
        await asyncio.to_thread(kafka.start)
        await apply_roles(postgres.url(), password_of(postgres.url()))
        database = ClonedDatabase("postgres", postgres.url())
        await migrations.apply(database.url("migrate"))
        made = Ground(database.url("superuser"), database.url("migrate"), kafka.bootstrap_servers, scratch)
        await made.execute(_PEER_TABLE)
        yield made
    finally:
        kafka.kill()
        postgres.stop()
        shutil.rmtree(scratch, ignore_errors=True)


@dataclass(frozen=True)
class Watched:
    """When the first record was on the broker and when the last, in this process's clock."""

    first: float
    last: float


async def watch(bootstrap: str, topic: str, rows: int, deadline: float = 600.0) -> Watched:
    """Looks at the topic's end offsets until it holds so many records."""
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await reader.start()
    parts = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    first, started = 0.0, time.monotonic()
    try:
        while True:
            count = sum((await reader.end_offsets(parts)).values())
            now = time.monotonic()
            first = first or (now if count else 0.0)
            if count >= rows:
                return Watched(first, now)
            if now - started > deadline:
                raise TimeoutError(f"{topic} holds {count} of {rows} records after {deadline:g} s")
            await asyncio.sleep(0.01)
    finally:
        await reader.stop()
