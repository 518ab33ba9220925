"""Real processes: rolling restarts under load, the supervisor, refusal to start."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import asyncpg
import pytest

from runtime.cli.roles import ROLES
from runtime.stack.kafka import KafkaCluster
from runtime.stack.ports import free_ports
from tests.e2e.operations.commands import Running, casestream, is_alive, is_ready, metric, running
from tests.e2e.operations.items import GROUP, TABLE, TOPIC, create_topics, events_of
from tests.e2e.shell.harness import environ_for, produce, rows
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.promises import PROCESS_SECONDS
from tests.waiting import until

MEMORY_LIMIT = 150 * 1024 * 1024


@pytest.mark.requirement("SP-5", "SP-9")
async def test_a_rolling_restart_under_load_redelivers_nothing_and_moves_no_partition(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    await create_topics(fresh_kafka, partitions=4)
    # A restart must be shorter than the session, whatever else this machine does.
    environ = environ_for(database, fresh_kafka, CASESTREAM_INSTANCE="host", CASESTREAM_KAFKA__SESSION_TIMEOUT_MS="30000")
    restarted, sent = asyncio.Event(), dict[str, int]()
    load = asyncio.create_task(_load(fresh_kafka, restarted, sent))

    async with AsyncExitStack() as stack:
        members = [await stack.enter_async_context(running(environ, GROUP, "--number", str(n))) for n in range(2)]
        for one in members:
            await one.ready()
        # Sticky: each has two of the four, once both have joined.
        owners = await until(lambda: _owners(database, {2}), what="two partitions for each member")
        for number in (0, 1, 0):
            old = members[number]
            await until(lambda one=old: _applied(one), what="some load on this member")
            assert await old.metric("inbox_duplicates_total", consumergroup=GROUP) == 0
            asked = time.monotonic()
            assert await old.terminate() == 0
            assert time.monotonic() - asked < 20
            members[number] = await stack.enter_async_context(running(environ, GROUP, "--number", str(number)))
            await members[number].ready()
        restarted.set()
        await load
        await until(lambda: _table_is(database, sent), what="every event in the table")

        for one in members:
            assert await one.metric("inbox_duplicates_total", consumergroup=GROUP) == 0
            assert await one.metric("process_resident_memory_bytes") < MEMORY_LIMIT
            await until(lambda one=one: _lags_nothing(one), what="the lag metrics' next reading")
        assert await _owners(database, {2}) == owners
        assert [await one.terminate() for one in members] == [0, 0]
    assert await rows(database, "select from parked_messages") == []
    assert await rows(database, "select from waiting_messages") == []


@pytest.mark.requirement("SP-9")
async def test_a_process_leaves_in_time_while_the_broker_is_away_and_lives_until_then(
    database: ClonedDatabase, own_kafka: Callable[..., KafkaCluster]
) -> None:
    broker = own_kafka()
    kafka = FreshKafka(broker.bootstrap_servers)
    await create_topics(kafka, partitions=1)
    await produce(kafka, TOPIC, events_of("i1", 3))

    async with running(environ_for(database, kafka), GROUP, "relay", "workers") as process:
        await process.ready()
        await until(lambda: _table_is(database, {"i1": 3}), what="the events")
        broker.kill()
        await until(lambda: any("onnect" in str(line["event"]) for line in process.log), what="the loss")
        # Alive: nobody restarts it for a broker that is away.
        assert await is_alive(process.port)

        asked = time.monotonic()
        assert await process.terminate() == 0
        assert time.monotonic() - asked < 20


async def test_the_supervisor_restarts_a_killed_child_and_leaves_with_all_of_them(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    await create_topics(fresh_kafka, partitions=1)
    await produce(fresh_kafka, TOPIC, events_of("i1", 3))
    (port,) = free_ports(1)
    environ = environ_for(database, fresh_kafka, CASESTREAM_HEALTH__PORT=str(port))
    only = [word for role in ROLES if role != "projections" for word in ("--count", f"{role}=0")]

    async with running(environ, "all", *only) as supervisor:
        await until(lambda: is_ready(port), what="the child's readiness")
        (first,) = _children(supervisor)
        os.kill(first, signal.SIGKILL)
        died = time.monotonic()
        second = await until(lambda: next((pid for pid in _children(supervisor) if pid != first), None), what="another child")
        await until(lambda: is_ready(port), what="its readiness")
        assert time.monotonic() - died < PROCESS_SECONDS
        await until(lambda: _table_is(database, {"i1": 3}), what="the events")

        assert await supervisor.terminate() == 0
        assert not _alive(second)


async def test_children_leave_when_their_supervisor_is_killed(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    only = [word for role in ROLES if role != "workers" for word in ("--count", f"{role}=0")]
    (port,) = free_ports(1)
    environ = environ_for(database, fresh_kafka, CASESTREAM_HEALTH__PORT=str(port))

    async with running(environ, "all", *only) as supervisor:
        await until(lambda: is_ready(port), what="the workers' readiness")
        (child,) = _children(supervisor)
        assert await metric(port, "worker_leader", job="housekeeping") == 1
        supervisor.process.kill()

        await until(lambda: not _alive(child), what="the child's end")


async def test_no_process_starts_on_a_schema_behind_its_code_but_it_may_wait_for_it(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    environ = environ_for(database, fresh_kafka)
    conn = await asyncpg.connect(database.url("superuser"))
    last = await conn.fetchrow(
        "delete from schema_migrations where number = (select max(number) from schema_migrations) returning *"
    )
    assert last is not None

    refused = await casestream(environ, "run", "relay", expect=3)
    assert "run `casestream db migrate`" in refused
    assert "there is none of this name" in await casestream(environ, "run", "relays", expect=3)

    async with running(environ, "workers", "--wait") as waiting:
        await until(lambda: any(line["event"] == "waiting for the schema" for line in waiting.log))
        await conn.execute("insert into schema_migrations select ($1::schema_migrations).*", last)
        await waiting.ready()
        assert await waiting.terminate() == 0
    await conn.close()


async def _load(kafka: FreshKafka, enough: asyncio.Event, sent: dict[str, int]) -> None:
    """Items with growing histories, until told that it is enough."""
    number = 0
    while not enough.is_set():
        number += 1
        item, count = f"i{number % 40}", sent.get(f"i{number % 40}", 0) + 5
        await produce(kafka, TOPIC, events_of(item, count, first=count - 4))
        sent[item] = count


async def _applied(one: Running) -> bool:
    return await one.metric("consumer_messages_applied_total", consumergroup=GROUP) > 0


async def _lags_nothing(one: Running) -> bool:
    return await one.metric("kafka_consumergroup_lag", consumergroup=GROUP) == 0


async def _owners(database: ClonedDatabase, shares: set[int]) -> dict[int, str] | None:
    found = {row["partition"]: row["owner"] for row in await rows(database, "select partition, owner from consumer_offsets")}
    counts = {list(found.values()).count(owner) for owner in found.values()}
    return found if len(found) == 4 and counts == shares else None


async def _table_is(database: ClonedDatabase, wanted: dict[str, int]) -> bool:
    found = {row["work_item_id"]: row["ce_sequence"] for row in await rows(database, f"select * from {TABLE}")}
    return found == wanted


def _children(supervisor: Running) -> list[int]:
    """The pids of the children that live, as its log tells."""
    return [pid for line in supervisor.log if line["event"] == "child started" and _alive(pid := line["pid"])]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
