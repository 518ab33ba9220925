"""The relay on a real database and a real broker: what arrives, what stays, and how it ends."""

import asyncio
import hashlib
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from aiokafka import TopicPartition

from outbox_relay import metrics, relay
from runtime import kafka
from runtime.partitioner import partition_of
from runtime.settings import Settings
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.integration.outbox_relay.rows import TOPIC, OutboxRow, insert, name_in_shard
from tests.promises import PROCESS_SECONDS
from tests.torture.outbox_arena import Arena
from tests.waiting import until

PARTITIONS = 4


@pytest.fixture
def settings(database: ClonedDatabase, fresh_kafka: FreshKafka) -> Settings:
    return Settings.load(
        {
            "DATABASE_URL": database.url("migrate"),
            "KAFKA_BOOTSTRAP_SERVERS": fresh_kafka.bootstrap_servers,
            "CASESTREAM_TOPIC_PREFIX": fresh_kafka.prefix,
            # Renewed often, so that shards move at once; long, so that a busy machine loses none.
            "CASESTREAM_RELAY__LEASE_SECONDS": "30",
            "CASESTREAM_RELAY__RENEW_SECONDS": "0.3",
        }
    )


@pytest_asyncio.fixture
async def writer(database: ClonedDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.url("worker"))
    yield connection
    await connection.close()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator["asyncio.Task[None]"]:
    """A relay in this process, stopped as by SIGTERM."""
    stop = asyncio.Event()
    task = asyncio.create_task(relay.run(settings, stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


async def records(settings: Settings, topic: str = TOPIC) -> list[Any]:
    """Everything on the topic, partition after partition."""
    reader = kafka.consumer(settings)
    await reader.start()
    try:
        parts = [TopicPartition(kafka.physical(settings, topic), number) for number in range(PARTITIONS)]
        reader.assign(parts)
        ends = await reader.end_offsets(parts)
        for part in parts:
            reader.seek(part, 0)
        found: list[Any] = []
        while len(found) < sum(ends.values()):
            for batch in (await reader.getmany(timeout_ms=500)).values():
                found += batch
        return found
    finally:
        await reader.stop()


async def emptied(writer: asyncpg.Connection) -> None:
    await until(lambda: writer.fetchval("select not exists (select from outbox_events)"), what="the empty outbox")


@pytest.mark.requirement("SP-2", "trap-37")
async def test_rows_arrive_whole_and_in_order_in_the_partition_of_their_key(
    settings: Settings, fresh_kafka: FreshKafka, writer: asyncpg.Connection
) -> None:
    await fresh_kafka.create_topics([TOPIC], PARTITIONS)
    rows = [OutboxRow(f"item-{n % 7}", 1 + n // 7, payload=b'{"n":%d}' % n) for n in range(210)]
    async with running(settings):
        await insert(writer, rows)
        await emptied(writer)

    arrived = await records(settings)
    assert len(arrived) == len(rows)
    for name in {row.name for row in rows}:
        sent = [row for row in rows if row.name == name]
        got = [record for record in arrived if record.key == sent[0].key]
        assert [(record.value, list(record.headers)) for record in got] == [(row.payload, row.headers) for row in sent]
        assert {record.partition for record in got} == {partition_of(sent[0].key, PARTITIONS)}


@pytest.mark.requirement("SP-2")
@pytest.mark.hole("page-abort-keeps-acked-prefix")
async def test_a_refused_batch_aborts_its_page_and_only_what_kafka_has_is_deleted(
    settings: Settings, fresh_kafka: FreshKafka, writer: asyncpg.Connection, database: ClonedDatabase
) -> None:
    # This topic refuses what every registered topic takes: the nearest thing to an unclear batch that can be ordered.
    await fresh_kafka.create_topics([TOPIC], PARTITIONS, {"max.message.bytes": "100000"})
    small, large = (_name_in_partition(number) for number in (0, 1))
    rows = [
        OutboxRow(small, 1),
        OutboxRow(large, 1, payload=_incompressible()),
        OutboxRow(large, 2),
        OutboxRow(small, 2),
    ]
    async with writer.transaction():
        await insert(writer, rows)
    aborts = metrics.PAGE_ABORTS._value.get()

    async with running(settings):
        await until(lambda: metrics.PAGE_ABORTS._value.get() > aborts + 1, what="two given-up pages")
        left = await writer.fetch("select aggregate_id, sequence from outbox_events order by id")
        assert [tuple(row) for row in left] == [(large, 1), (large, 2)]

        admin = await asyncpg.connect(database.url("superuser"))
        await admin.execute("delete from outbox_events where octet_length(payload) > 100000")
        await admin.close()
        await emptied(writer)

    by_key = {(record.key, record.value) for record in await records(settings)}
    assert by_key == {(row.key, b"{}") for row in rows}


async def test_rows_of_an_unknown_topic_wait_alone_and_leave_when_it_appears(
    settings: Settings, fresh_kafka: FreshKafka, writer: asyncpg.Connection
) -> None:
    await fresh_kafka.create_topics([TOPIC], PARTITIONS)
    waiting = OutboxRow(name_in_shard(3), 1, topic="crm.entity.commands")
    others = [OutboxRow(name_in_shard(3, start=500), number) for number in range(1, 6)]
    async with running(settings):
        await insert(writer, [waiting, *others])
        await until(lambda: _only(writer, waiting.topic), what="the other topic's rows to leave")
        assert len(await records(settings)) == len(others)
        await until(lambda: metrics.UNSENT_ROWS._value.get() == 1, what="the alarm's metric")
        assert metrics.OLDEST_UNSENT._value.get() > 0

        await fresh_kafka.create_topics([waiting.topic], PARTITIONS)
        await emptied(writer)
        await until(lambda: metrics.UNSENT_ROWS._value.get() == 0, what="the alarm's end")

    assert [record.key for record in await records(settings, waiting.topic)] == [waiting.key]


@pytest.mark.requirement("SP-7")
async def test_two_relays_share_the_shards_and_the_rest_moves_when_one_leaves(
    settings: Settings, fresh_kafka: FreshKafka, database: ClonedDatabase
) -> None:
    await fresh_kafka.create_topics([TOPIC], PARTITIONS)
    scan = await asyncpg.connect(database.url("scan"))
    async with running(settings):
        await until(lambda: _shares(scan, [16]), what="one relay with all shards")
        async with running(settings):
            await until(lambda: _shares(scan, [8, 8]), what="two relays with half of them")
        await until(lambda: _shares(scan, [16]), what="one relay with all shards again")
    assert await _shares(scan, [])
    assert await scan.fetchval("select count(*) from leases") == 0
    await scan.close()


async def test_running_relays_notice_a_sequence_below_their_floors_and_begin_at_zero(
    settings: Settings, fresh_kafka: FreshKafka, database: ClonedDatabase, writer: asyncpg.Connection
) -> None:
    await fresh_kafka.create_topics([TOPIC], PARTITIONS)
    owner = await asyncpg.connect(database.url("migrate"))
    async with running(settings), running(settings):
        await insert(writer, [OutboxRow(f"item-{n}", 1) for n in range(64)])
        raised = "select bool_and(floor >= 64) from relay_shards"
        await until(lambda: owner.fetchval(raised), what="raised floors")

        await owner.execute("alter sequence outbox_events_id_seq restart")
        await until(lambda: owner.fetchval("select bool_and(floor = 0) from relay_shards"), what="floors at 0")
        await insert(writer, [OutboxRow(f"item-{n}", 2) for n in range(64)])
        await emptied(writer)

    assert len(await records(settings)) == 128
    await owner.close()


@pytest.mark.requirement("SP-7")
async def test_after_kill_9_another_relay_publishes(
    database: ClonedDatabase, fresh_kafka: FreshKafka, writer: asyncpg.Connection, tmp_path: Path
) -> None:
    # With the leases of production.
    arena = Arena(database.url("migrate"), fresh_kafka, tmp_path, lease_seconds=6.0)
    await fresh_kafka.create_topics([TOPIC], PARTITIONS)
    scan = await asyncpg.connect(database.url("scan"))
    async with arena.relay() as victim:
        await until(lambda: _shares(scan, [16]), what="the victim's shards")
        async with running(arena.settings):
            await until(lambda: _shares(scan, [8, 8]), what="the standby's shards")
            await insert(writer, [OutboxRow(name_in_shard(shard), 1) for shard in range(16)])
            await emptied(writer)
            victim.send(signal.SIGKILL)
            await victim.ended()
            killed = time.monotonic()
            await insert(writer, [OutboxRow(name_in_shard(shard), 2) for shard in range(16)])
            await emptied(writer)
            assert time.monotonic() - killed < PROCESS_SECONDS
    await scan.close()


@pytest.mark.hole("floor-drops-candidate-on-new-connection")
@pytest.mark.parametrize("broken", [True, False], ids=["broken", "control"])
async def test_a_broken_connection_drops_the_candidate(
    settings: Settings, fresh_kafka: FreshKafka, database: ClonedDatabase, writer: asyncpg.Connection, broken: bool
) -> None:
    """A crashed database takes ids back: 50 were drawn, then 11 again, by a writer who is still under way.

    A candidate of before the crash knows nothing of him: its X is older, and his rows lie below its S. The control
    leaves the connections whole, as a relay would that kept its candidate: there the floor covers the rows for ever.
    """
    await fresh_kafka.create_topics([TOPIC], PARTITIONS)
    holder, late, owner = [await asyncpg.connect(database.url(role)) for role in ("worker", "worker", "superuser")]
    await insert(writer, [OutboxRow(f"item-{n}", 1) for n in range(50)])
    await holder.execute("begin; select pg_current_xact_id()")
    metrics.OLDEST_XACT.set(0)
    async with running(settings):
        await until(_a_candidate_waits, what="a candidate of 50 that the holder keeps from ripening")
        await emptied(writer)
        await owner.execute("alter sequence outbox_events_id_seq restart with 11")
        await late.execute("begin")
        assert (await insert(late, [OutboxRow(f"item-{n}", 2) for n in range(20)]))[0] == 11
        await insert(writer, [OutboxRow(f"item-{n}", 2) for n in range(20, 60)])
        if broken:
            ended = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'cs_scan' and datname = $1"
            assert len(await owner.fetch(ended, database.name)) > 1
        metrics.OLDEST_XACT.set(0)
        await holder.execute("commit")
        # A later candidate waits for the late writer, so what became of the first one is decided.
        await until(_a_candidate_waits, what="the next candidate")
        await insert(writer, [OutboxRow(name_in_shard(shard, 1000), 1) for shard in range(16)])
        await emptied(writer)
        assert await owner.fetchval("select max(floor) from relay_shards") == (0 if broken else 50)

        await late.execute("commit")
        if broken:
            await emptied(writer)
        else:
            await insert(writer, [OutboxRow(name_in_shard(shard, 1000), 2) for shard in range(16)])
            await until(lambda: _only_below(writer, 50), what="everything but the covered rows to leave")
    for conn in (holder, late, owner):
        await conn.close()


def _a_candidate_waits() -> bool:
    return bool(metrics.OLDEST_XACT._value.get() > 0)


async def _only_below(conn: asyncpg.Connection, last: int) -> bool:
    return bool(await conn.fetchval("select max(id) <= $1 from outbox_events", last))


async def test_a_relay_that_waits_for_its_database_can_be_stopped(settings: Settings) -> None:
    away = settings.model_copy(
        update={"database_url": type(settings.database_url)("postgresql://cs_migrate:x@127.0.0.1:1/none")}
    )
    stop = asyncio.Event()
    task = asyncio.create_task(relay.run(away, stop))
    await until(lambda: len(asyncio.all_tasks()) > 2, what="the attempt to connect")
    stop.set()
    await asyncio.wait_for(task, 60)


async def _only(conn: asyncpg.Connection, topic: str) -> bool:
    return bool(await conn.fetchval("select bool_and(topic = $1) from outbox_events", topic))


async def _shares(conn: asyncpg.Connection, wanted: list[int]) -> bool:
    rows = await conn.fetch("select count(*) as shards from relay_shards where owner <> '' group by owner")
    return sorted(row["shards"] for row in rows) == wanted


def _name_in_partition(partition: int) -> str:
    names = (f"item-{number}" for number in range(1000))
    return next(name for name in names if partition_of(OutboxRow(name, 1).key, PARTITIONS) == partition)


def _incompressible() -> bytes:
    """256 kB that no compression makes smaller."""
    return b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(8_000))
