"""Growing a topic under a running relay and a running projection: every key keeps its order, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from domain.onboarding.definitions import FollowedFlows
from domain.outbox.append import Outbox, OutboxEvent
from outbox_relay.relay import run as run_relay
from processors.saga import Saga
from projections.work_item_board import WorkItemBoard
from runtime import kafka
from runtime.settings import Settings
from runtime.topic_growth import TopicGrowth
from schemas.registry import dlt_topic
from schemas.work_items import WorkItemAssigned, WorkItemCreated
from tests.e2e.shell.harness import START, create_group_topics, member, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

TOPIC = "work-items.events.v1"
BEFORE, AFTER = 2, 6
ITEMS = [f"item-{number}" for number in range(24)]
# Metadata's age is shortened, so that the test need not hold the relay for half a minute.
AGE_MS = 1_000


def numbered(item: str, number: int) -> OutboxEvent:
    moment = START + timedelta(seconds=number)
    common = {"workItemId": item, "version": number, "changedBy": "u", "changedAt": moment, "source": "CRM_UI"}
    payload = (
        WorkItemCreated.model_validate({**common, "priority": "high"})
        if number == 1
        else WorkItemAssigned.model_validate({**common, "newAssigneeId": f"a{number}"})
    )
    return OutboxEvent(TOPIC, "t1", "work_item", item, payload, moment, "u", sequence=number)


async def write(database: ClonedDatabase, stop: asyncio.Event) -> int:
    """One event of each item after the other, until told to stop. Returns how many each item has."""
    conn, outbox, number = await asyncpg.connect(database.url("api")), Outbox("casestream"), 0
    try:
        while not stop.is_set():
            number += 1
            async with conn.transaction():
                await conn.execute("select set_config('app.tenant', 't1', true)")
                await outbox.append(conn, [numbered(item, number) for item in ITEMS])
            await asyncio.wait([asyncio.create_task(stop.wait())], timeout=0.05)
        return number
    finally:
        await conn.close()


@asynccontextmanager
async def relay(settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(run_relay(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


async def places_of_keys(fresh_kafka: FreshKafka) -> dict[bytes, dict[int, list[int]]]:
    """key -> partition -> the numbers of its events there, in the partition's order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=fresh_kafka.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = [TopicPartition(fresh_kafka.topic(TOPIC), number) for number in range(AFTER)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found: dict[bytes, dict[int, list[int]]] = {}
        for place in places:
            while await consumer.position(place) < ends[place]:
                for record in (await consumer.getmany(place, timeout_ms=500)).get(place, []):
                    number = int(dict(record.headers)["ce_sequence"])
                    found.setdefault(record.key, {}).setdefault(record.partition, []).append(number)
        return found
    finally:
        await consumer.stop()


async def lowest_applied(database: ClonedDatabase) -> int:
    (row,) = await rows(database, "select count(*) as items, min(ce_sequence) as low from projections.work_item_board__v1")
    return row["low"] if row["items"] == len(ITEMS) else 0


@pytest.mark.hole("no-partition-increase")
@pytest.mark.requirement("SP-2")
async def test_a_live_topic_grows_and_no_key_loses_its_order(
    database: ClonedDatabase, fresh_kafka: FreshKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "METADATA_AGE_MS", AGE_MS)
    settings, board, written = settings_for(database, fresh_kafka), WorkItemBoard(1), asyncio.Event()
    saga = Saga(Outbox(settings.ce_source), FollowedFlows({}))
    await create_group_topics(fresh_kafka, board, BEFORE)
    await fresh_kafka.create_topics([dlt_topic(TOPIC, saga.group.name)], BEFORE)
    admin = kafka.admin(settings)
    await admin.start()
    try:
        async with (
            relay(settings),
            member(settings, board),
            member(settings, saga),
            asyncpg.create_pool(database.url("scan"), min_size=1) as pool,
        ):
            writing = asyncio.create_task(write(database, written))
            await until(lambda: _beyond(database, 3), deadline=60, what="the first events on the board")
            growth = TopicGrowth(settings, pool, admin, TOPIC, AFTER)
            await growth.execute(await growth.plan(), quiet_seconds=3, forget_seconds=5 * AGE_MS / 1000)
            stood_at = await lowest_applied(database)
            await until(lambda: _beyond(database, stood_at + 3), deadline=60, what="events after the growth")
            written.set()
            last = await writing
            await until(lambda: _beyond(database, last - 1), deadline=60, what="the last events")
    finally:
        await admin.close()

    assert await rows(database, "select 1 from waiting_messages union all select 1 from parked_messages") == []
    places = await places_of_keys(fresh_kafka)
    assert len(places) == len(ITEMS)
    moved = [partitions for partitions in places.values() if len(partitions) > 1]
    assert moved, "the test needs a key that moved"
    for partitions in places.values():
        assert sorted({number for numbers in partitions.values() for number in numbers}) == list(range(1, last + 1))
    for partitions in moved:
        # A page under way may have been sent twice; each partition begins where the one before it had come to.
        (_, before), (_, after) = sorted(partitions.items(), key=lambda place: place[1][0])
        assert after[0] <= before[-1] + 1
        assert all(later <= earlier + 1 for earlier, later in pairwise(after))


async def _beyond(database: ClonedDatabase, number: int) -> bool:
    return await lowest_applied(database) > number
