"""PostgreSQL and the broker die and come back: members wait, resume by themselves, lose and repeat nothing (P1, P2, P5)."""

import asyncio
import time
from collections.abc import Callable

import pytest

from processors.shell import GroupMember
from runtime.stack.kafka import KafkaCluster
from runtime.stack.postgres import PostgresServer
from tests.e2e.shell.conformance import SUBJECTS, Subject, item_id
from tests.e2e.shell.harness import create_group_topics, execute, member, produce, rows, settings_for
from tests.infrastructure import databases
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.promises import SERVER_SECONDS
from tests.waiting import until

SUBJECT = SUBJECTS["work-items"]
BOARD = SUBJECTS["projections.work_item_board.v1"]


async def applied(database: ClonedDatabase, keys: list[str], length: int, subject: Subject = SUBJECT) -> bool:
    return await subject.read(database) == {item_id(key): (length, length) for key in keys}


@pytest.mark.requirement("SP-4")
async def test_postgres_is_killed_under_load_and_comes_back(
    own_postgres: Callable[..., PostgresServer], fresh_kafka: FreshKafka
) -> None:
    server = own_postgres()
    database = await databases.make_template(server.url())
    cloned = await databases.clone(server.url(), database)
    await SUBJECT.prepare(cloned)
    await create_group_topics(fresh_kafka, SUBJECT.make(), 2)
    keys = [f"k{number}" for number in range(60)]
    batches = [[one for key in keys[start : start + 20] for one in SUBJECT.history(key, 4)] for start in (0, 20, 40)]
    settings = settings_for(cloned, fresh_kafka, CASESTREAM_CONSUMER__BATCH_MAX_RECORDS="5")
    async with member(settings, SUBJECT.make()):
        await produce(fresh_kafka, SUBJECT.topic, batches[0])
        await until(lambda: SUBJECT.read(cloned), what="a beginning")
        await asyncio.to_thread(server.kill9)
        await produce(fresh_kafka, SUBJECT.topic, batches[1])
        await asyncio.to_thread(server.start)
        back = time.monotonic()
        await produce(fresh_kafka, SUBJECT.topic, batches[2])
        await until(lambda: applied(cloned, keys, 4), SERVER_SECONDS, "everything, once")
        print(f"live {time.monotonic() - back:.1f} s after PostgreSQL was back")
        assert not await rows(cloned, "select from parked_messages"), "an outage is nobody's poison"


@pytest.mark.requirement("SP-4")
async def test_the_broker_is_killed_under_load_and_comes_back(
    own_kafka: Callable[..., KafkaCluster], database: ClonedDatabase
) -> None:
    cluster = own_kafka()
    kafka = FreshKafka(cluster.bootstrap_servers)
    await SUBJECT.prepare(database)
    await create_group_topics(kafka, SUBJECT.make(), 2)
    keys = [f"k{number}" for number in range(40)]
    settings = settings_for(database, kafka, CASESTREAM_CONSUMER__BATCH_MAX_RECORDS="5")
    async with member(settings, SUBJECT.make()):
        await produce(kafka, SUBJECT.topic, [one for key in keys[:20] for one in SUBJECT.history(key, 4)])
        await until(lambda: SUBJECT.read(database), what="a beginning")
        await asyncio.to_thread(cluster.kill)
        await asyncio.to_thread(cluster.start)
        back = time.monotonic()
        await produce(kafka, SUBJECT.topic, [one for key in keys[20:] for one in SUBJECT.history(key, 4)])
        await until(lambda: applied(database, keys, 4), SERVER_SECONDS, "everything, once")
        print(f"live {time.monotonic() - back:.1f} s after the broker was back")
    # A member that is asked to leave while the broker is away leaves.
    stop = asyncio.Event()
    task = asyncio.create_task(GroupMember(settings, SUBJECT.make(), "test-0", stop).run())
    await until(lambda: _retaken(database), what="the partitions to be taken")
    await asyncio.to_thread(cluster.kill)
    stop.set()
    asked = time.monotonic()
    await asyncio.wait_for(task, 60)
    print(f"left {time.monotonic() - asked:.1f} s after it was asked, without a broker")


async def _retaken(database: ClonedDatabase) -> bool:
    found = await rows(database, "select min(epoch) as epoch from consumer_offsets")
    return (found[0]["epoch"] or 0) >= 2


@pytest.mark.requirement("SP-9")
async def test_poison_in_one_group_leaves_the_other_group_s_lag_flat(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    """A storm of poison stops its own group; the other one's messages go through as fast as before."""
    await SUBJECT.prepare(database)
    await create_group_topics(fresh_kafka, SUBJECT.make(), 2)
    await create_group_topics(fresh_kafka, BOARD.make(), 2)
    settings = settings_for(database, fresh_kafka)
    async with member(settings, SUBJECT.make()), member(settings, BOARD.make()):
        quiet = await _passage(database, fresh_kafka, "quiet")
        storm = [(f"acme|x|{number}".encode(), b"{", list[tuple[str, bytes | None]]()) for number in range(3000)]
        await produce(fresh_kafka, SUBJECT.topic, storm)
        stormy = [await _passage(database, fresh_kafka, f"stormy{number}") for number in range(3)]
        print(f"board: {quiet:.2f} s before, {stormy} s during the storm")
        # The median: one message may meet whatever else the machine does, and a lag would be every message's.
        assert sorted(stormy)[1] < max(5.0, 5 * quiet)
        await until(lambda: _stopped(database), what="the poisoned group to stop itself")
    state = await rows(database, "select group_name, state from consumer_groups")
    assert state == [{"group_name": SUBJECT.group, "state": "stopped"}]
    assert await rows(database, "select from incidents where kind = 'group-stopped'")


async def _passage(database: ClonedDatabase, kafka: FreshKafka, key: str) -> float:
    """Seconds from a message to its row."""
    started = time.monotonic()
    await produce(kafka, BOARD.topic, BOARD.history(key, 2))

    async def arrived() -> bool:
        return (await BOARD.read(database)).get(item_id(key)) == (2, 2)

    await until(arrived, what="the board's row")
    return time.monotonic() - started


async def _stopped(database: ClonedDatabase) -> bool:
    return bool(await rows(database, "select from consumer_groups where state = 'stopped'"))


async def test_a_stopped_group_reads_nothing_until_it_is_resumed(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:

    await create_group_topics(fresh_kafka, BOARD.make(), 2)
    await execute(
        database, "insert into consumer_groups (group_name, state, reason) values ($1, 'stopped', 'test')", BOARD.group
    )
    await produce(fresh_kafka, BOARD.topic, BOARD.history("k", 3))
    async with member(settings_for(database, fresh_kafka), BOARD.make()) as one:
        await until(lambda: one.ready, what="the member")
        await until(lambda: _rounds(one, 2), what="two rounds")
        assert await BOARD.read(database) == {}
        await execute(database, "update consumer_groups set state = 'running'")
        await until(lambda: applied(database, ["k"], 3, BOARD), what="the rows")


async def _rounds(one: GroupMember, count: int) -> bool:
    """So many rounds began after the first look."""
    seen = getattr(one, "_test_rounds", set[float]())
    seen.add(one._next_round)
    one._test_rounds = seen  # type: ignore[attr-defined]
    return len(seen) > count
