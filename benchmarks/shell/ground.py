"""The ground both stand on: a topic full of work-item events, and a database without rows for each run."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import asyncpg
from aiokafka import AIOKafkaProducer

from schemas.envelope import CloudEvent, to_headers
from schemas.work_items import WorkItemAssigned, WorkItemCreated
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

TOPIC = "work-items.events.v1"
TENANT = "acme"
PARTITIONS = 8
VALUE_BYTES = 500
EVENTS_PER_ITEM = 5
_START = datetime(2026, 1, 5, 8, tzinfo=UTC)


async def fill(kafka: FreshKafka, events: int) -> None:
    """Create the topics and send `events` events: each item is created, then assigned again and again, items mixed."""
    await kafka.create_topics([TOPIC, f"{TOPIC}.projections.work_item_board.v1.dlt"], PARTITIONS)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, linger_ms=20, max_batch_size=512 * 1024)
    await producer.start()
    try:
        sent: list[asyncio.Future[object]] = []
        for event in _events(events):
            key = (event.partitionkey or "").encode()
            sent.append(await producer.send(kafka.topic(TOPIC), event.data, key, headers=to_headers(event)))
            if len(sent) == 20_000:
                await asyncio.gather(*sent)
                sent.clear()
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def _events(count: int) -> Iterator[CloudEvent]:
    items = count // EVENTS_PER_ITEM
    for number in range(1, EVENTS_PER_ITEM + 1):
        for item in range(items):
            yield _event(f"{item:08d}-0000-7000-8000-000000000000", number)


def _event(item: str, number: int) -> CloudEvent:
    at = _START + timedelta(minutes=number)
    known = {"work_item_id": item, "version": number, "changed_by": "u1", "changed_at": at, "source": "CRM_UI"}
    payload = (
        WorkItemCreated.model_validate({**known, "priority": "high"})
        if number == 1
        else WorkItemAssigned.model_validate({**known, "new_assignee_id": f"u{number}"})
    )
    data = payload.to_json()
    # A field that readers ignore brings every value to the same size.
    padded = data[:-1] + b',"padding":"' + b"x" * (VALUE_BYTES - len(data) - 13) + b'"}'
    return CloudEvent(
        id=f"{item}-{number}",
        source="casestream",
        type=payload.TYPE,
        tenant=TENANT,
        subject=item,
        time=at,
        data=padded,
        dataschema=payload.dataschema(),
        partitionkey=f"{TENANT}|work_item|{item}",
        sequence=number,
    )


async def empty(url: str) -> None:
    """As before the first event."""
    conn = await asyncpg.connect(url)
    try:
        await conn.execute("truncate projections.work_item_board__v1, applied_sequences, consumer_offsets, bare_offsets")
    finally:
        await conn.close()


async def prepare(url: str) -> None:
    conn = await asyncpg.connect(url)
    try:
        await conn.execute("create table bare_offsets (partition integer primary key, next bigint not null)")
    finally:
        await conn.close()


async def digest(url: str) -> str:
    """What both must have written: a hash of all rows."""
    conn = await asyncpg.connect(url)
    try:
        query = "select md5(string_agg(md5(b::text), '' order by work_item_id)) from projections.work_item_board__v1 b"
        numbers = await conn.fetchval("select sum(sequence)::bigint from applied_sequences")
        return f"{await conn.fetchval(query)} {numbers}"
    finally:
        await conn.close()


async def has_read(url: str, events: int) -> bool:
    """Whether the group's positions say that so many events were read."""
    conn = await asyncpg.connect(url)
    try:
        return bool(await conn.fetchval("select coalesce(sum(next), 0) >= $1 from consumer_offsets", events))
    finally:
        await conn.close()


async def all_read(url: str, events: int) -> None:
    """Waits until every event was read."""
    await until(lambda: has_read(url, events), 600, "every event to be read")
