"""`casestream topics` on a real broker: apply, diff, and growing without breaking the order of any key."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic

from runtime import kafka, topics
from runtime.partitioner import partition_of
from runtime.settings import Settings
from runtime.topic_growth import TopicGrowth
from schemas.errors import ConfigurationError, TransientError
from schemas.registry import MAX_MESSAGE_BYTES, PARTITIONS, TOPICS, dead_letter_topics, dlt_topic
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
TOPIC = "work-items.events.v1"
GROUP = "projections.work_item_board.v1"
READERS = ("saga", GROUP)
BEFORE, AFTER = 2, 4


def settings_of(fresh_kafka: FreshKafka, database_url: str = "postgresql://nobody@localhost/nowhere") -> Settings:
    return Settings.load(
        {
            "DATABASE_URL": database_url,
            "KAFKA_BOOTSTRAP_SERVERS": fresh_kafka.bootstrap_servers,
            "CASESTREAM_TOPIC_PREFIX": fresh_kafka.prefix,
        }
    )


@pytest.fixture
def settings(fresh_kafka: FreshKafka, database: ClonedDatabase) -> Settings:
    return settings_of(fresh_kafka, database.url("migrate"))


@pytest.fixture
async def admin(fresh_kafka: FreshKafka) -> AsyncIterator[AIOKafkaAdminClient]:
    client = kafka.admin(settings_of(fresh_kafka))
    await client.start()
    yield client
    await client.close()


@pytest.fixture
async def scan(database: ClonedDatabase) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(database.url("scan"), min_size=1, max_size=3) as pool:
        yield pool


@pytest.fixture
async def worker(database: ClonedDatabase) -> AsyncIterator[asyncpg.Connection]:
    conn = await asyncpg.connect(database.url("worker"))
    yield conn
    await conn.close()


@pytest.mark.requirement("SP-11")
async def test_apply_creates_what_is_missing_and_diff_finds_nothing_then(
    fresh_kafka: FreshKafka, admin: AIOKafkaAdminClient
) -> None:
    settings = settings_of(fresh_kafka)
    wanted = {*TOPICS, *(topic.name for topic in dead_letter_topics())}
    assert {line.found for line in await topics.diff(admin, settings)} == {"missing"}
    assert set(await topics.apply(admin, settings)) == wanted
    assert await topics.apply(admin, settings) == []
    assert await topics.diff(admin, settings) == []
    name = fresh_kafka.topic(TOPIC)
    found = (await topics.find_topics(admin, [name]))[name]
    assert found.partitions == PARTITIONS
    assert {key: found.config[key] for key in ("cleanup.policy", "retention.ms", "max.message.bytes")} == {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
    }
    assert found.config["unclean.leader.election.enable"] == "false"


async def test_diff_names_every_difference_and_apply_mends_none_of_an_existing_topic(
    fresh_kafka: FreshKafka, admin: AIOKafkaAdminClient
) -> None:
    settings = settings_of(fresh_kafka)
    wrong = {"retention.ms": "3600000", "unclean.leader.election.enable": "true", "max.message.bytes": "1000"}
    await admin.create_topics([NewTopic(fresh_kafka.topic(TOPIC), 3, 1, topic_configs=wrong)])
    assert TOPIC not in await topics.apply(admin, settings)
    await topics.wait_for_leaders(admin, {fresh_kafka.topic(TOPIC): 3})
    found = {line.what: (line.expected, line.found) for line in await topics.diff(admin, settings)}
    assert found == {
        "partitions": ("32", "3"),
        "retention.ms": ("-1", "3600000"),
        "unclean.leader.election.enable": ("false", "true"),
        "max.message.bytes": (str(MAX_MESSAGE_BYTES), "1000"),
    }


async def test_the_commands(fresh_kafka: FreshKafka) -> None:
    environ = {
        "DATABASE_URL": "postgresql://nobody@localhost/nowhere",
        "KAFKA_BOOTSTRAP_SERVERS": fresh_kafka.bootstrap_servers,
        "CASESTREAM_TOPIC_PREFIX": fresh_kafka.prefix,
        "PATH": "/usr/bin:/bin",
    }

    async def casestream(*words: str) -> tuple[int | None, str]:
        program = [sys.executable, "-c", "from runtime.cli import main; main()", *words, "--output", "json"]
        process = await asyncio.create_subprocess_exec(*program, env=environ, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        return process.returncode, out.decode()

    code, out = await casestream("topics", "diff")
    assert (code, len(json.loads(out))) == (1, len(TOPICS) + len(dead_letter_topics()))
    assert (await casestream("topics", "apply"))[0] == 0
    assert await casestream("topics", "diff") == (0, "[]\n")


async def test_a_refusal_of_the_broker_is_told(fresh_kafka: FreshKafka, admin: AIOKafkaAdminClient) -> None:
    environ = {
        "DATABASE_URL": "postgresql://nobody@localhost/nowhere",
        "KAFKA_BOOTSTRAP_SERVERS": fresh_kafka.bootstrap_servers,
        "CASESTREAM_TOPIC_PREFIX": fresh_kafka.prefix,
        "CASESTREAM_KAFKA__REPLICATION_FACTOR": "9",
    }
    with pytest.raises(ConfigurationError, match="InvalidReplicationFactor"):
        await topics.apply(admin, Settings.load(environ))


async def small_topic(fresh_kafka: FreshKafka) -> None:
    await fresh_kafka.create_topics([TOPIC, *(dlt_topic(TOPIC, group) for group in READERS)], partitions=BEFORE)


async def produce(fresh_kafka: FreshKafka, key: bytes, value: bytes, partitions: int) -> int:
    """Send a record as the relay would: to the partition of its key. Returns the partition."""
    target = partition_of(key, partitions)
    async with AIOKafkaProducer(bootstrap_servers=fresh_kafka.bootstrap_servers) as producer:
        await producer.send_and_wait(fresh_kafka.topic(TOPIC), value, key, target)
    return target


async def read(fresh_kafka: FreshKafka, partition: int) -> list[bytes]:
    """What a member that owns this partition applies: everything in it, in order."""
    place = TopicPartition(fresh_kafka.topic(TOPIC), partition)
    consumer = AIOKafkaConsumer(bootstrap_servers=fresh_kafka.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        values: list[bytes] = []
        while await consumer.position(place) < end:
            values += [record.value for batch in (await consumer.getmany(timeout_ms=200)).values() for record in batch]
        return values
    finally:
        await consumer.stop()


async def stand_at(worker: asyncpg.Connection, partition: int, position: int) -> None:
    """All groups of the topic have come so far."""
    await worker.execute(
        "insert into consumer_offsets (group_name, topic, partition, next) select unnest($1::text[]), $2, $3, $4"
        " on conflict (group_name, topic, partition) do update set next = excluded.next",
        READERS,
        TOPIC,
        partition,
        position,
    )


async def count_partitions(admin: AIOKafkaAdminClient, fresh_kafka: FreshKafka) -> int:
    name = fresh_kafka.topic(TOPIC)
    return (await topics.find_topics(admin, [name]))[name].partitions


def moving_key() -> bytes:
    """A key whose partition changes with the count."""
    keys = (f"t|work_item|{number}".encode() for number in range(1_000))
    return next(key for key in keys if partition_of(key, BEFORE) != partition_of(key, AFTER))


@pytest.mark.hole("no-partition-increase")
async def test_a_plain_increase_applies_a_keys_newer_event_first(fresh_kafka: FreshKafka, admin: AIOKafkaAdminClient) -> None:
    """The negative control: the member of the new partition is ahead of the one that still has the old event to read."""
    await small_topic(fresh_kafka)
    key = moving_key()
    old = await produce(fresh_kafka, key, b"1", BEFORE)
    await admin.create_partitions({fresh_kafka.topic(TOPIC): NewPartitions(AFTER)})
    await topics.wait_for_leaders(admin, {fresh_kafka.topic(TOPIC): AFTER})
    new = await produce(fresh_kafka, key, b"2", AFTER)
    applied = await read(fresh_kafka, new) + await read(fresh_kafka, old)
    assert applied == [b"2", b"1"]


@pytest.mark.hole("no-partition-increase")
async def test_growing_waits_until_the_old_event_is_applied(
    fresh_kafka: FreshKafka,
    admin: AIOKafkaAdminClient,
    settings: Settings,
    scan: asyncpg.Pool,
    worker: asyncpg.Connection,
) -> None:
    await small_topic(fresh_kafka)
    key = moving_key()
    old = await produce(fresh_kafka, key, b"1", BEFORE)
    growth = TopicGrowth(settings, scan, admin, TOPIC, AFTER)
    plan = await growth.plan()
    assert {group.group: dict(group.partitions) for group in plan.backlog} == {group: {old: 1} for group in READERS}
    assert set(plan.also) == {dlt_topic(TOPIC, group) for group in READERS}

    growing = asyncio.create_task(growth.execute(plan, quiet_seconds=0, forget_seconds=0))
    held = "select count(*) from relay_shards where owner like 'topics grow%' and expires_at > cs_now()"
    await until(lambda: scan.fetchval(f"select ({held}) = 16"), what="the relay's shards")
    applied = await read(fresh_kafka, old)
    assert not growing.done()
    assert await count_partitions(admin, fresh_kafka) == BEFORE
    await stand_at(worker, old, 1)
    await growing

    assert await count_partitions(admin, fresh_kafka) == AFTER
    letters = fresh_kafka.topic(dlt_topic(TOPIC, GROUP))
    assert (await topics.find_topics(admin, [letters]))[letters].partitions == AFTER
    new = await produce(fresh_kafka, key, b"2", AFTER)
    assert new != old
    assert applied + await read(fresh_kafka, new) == [b"1", b"2"]
    assert await scan.fetchval("select count(*) from relay_shards where owner = '' and expires_at < cs_now()") == 16


@pytest.mark.hole("no-partition-increase")
@pytest.mark.parametrize("aside", ["unread", "waiting", "parked"])
async def test_what_is_not_drained_stops_the_growth_and_changes_nothing(
    fresh_kafka: FreshKafka,
    admin: AIOKafkaAdminClient,
    settings: Settings,
    scan: asyncpg.Pool,
    worker: asyncpg.Connection,
    aside: str,
) -> None:
    await small_topic(fresh_kafka)
    old = await produce(fresh_kafka, b"k", b"1", BEFORE)
    if aside != "unread":
        await stand_at(worker, old, 1)
    if aside == "waiting":
        await worker.execute(
            'insert into waiting_messages (group_name, topic, partition, "offset", tenant_id, source, aggregate, sequence,'
            " waiting_for, headers, timestamp) values ($1, $2, 0, 0, 't', 's', 'a', 2, 1, '', 0)",
            GROUP,
            TOPIC,
        )
    if aside == "parked":
        await worker.execute(
            'insert into parked_messages (group_name, topic, partition, "offset", tenant_id, headers, timestamp, reason,'
            " fingerprint, error) values ($1, $2, 0, 0, 't', '', 0, 'r', 'f', 'e')",
            GROUP,
            TOPIC,
        )
    growth = TopicGrowth(settings, scan, admin, TOPIC, AFTER)
    with pytest.raises(TransientError, match=f"1 {aside}"):
        await growth.execute(await growth.plan(), drain_seconds=0.3, quiet_seconds=0, forget_seconds=0)
    assert await count_partitions(admin, fresh_kafka) == BEFORE
    assert await scan.fetchval("select count(*) from relay_shards where owner = ''") == 16


@pytest.mark.requirement("SP-7")
async def test_a_relay_that_takes_the_shards_back_stops_the_growth(
    fresh_kafka: FreshKafka, admin: AIOKafkaAdminClient, settings: Settings, scan: asyncpg.Pool
) -> None:
    await small_topic(fresh_kafka)
    growth = TopicGrowth(settings, scan, admin, TOPIC, AFTER)
    growing = asyncio.create_task(growth.execute(await growth.plan(), quiet_seconds=30))
    await until(lambda: scan.fetchval("select bool_and(owner like 'topics grow%') from relay_shards"), what="the shards")
    await scan.execute("update relay_shards set owner = 'r', term = term + 1 where shard = 7")
    with pytest.raises(TransientError, match="lost the relay's shards"):
        await growing
    assert await count_partitions(admin, fresh_kafka) == BEFORE
    assert await scan.fetchval("select owner from relay_shards where shard = 7") == "r"


@pytest.mark.hole("no-partition-increase")
async def test_growing_is_refused_where_order_cannot_be_proved(
    fresh_kafka: FreshKafka, admin: AIOKafkaAdminClient, settings: Settings, scan: asyncpg.Pool
) -> None:
    await fresh_kafka.create_topics([TOPIC, "work-items.commands.v1"], partitions=BEFORE)

    async def refusal(topic: str, partitions: int) -> str:
        with pytest.raises(ConfigurationError) as raised:
            await TopicGrowth(settings, scan, admin, topic, partitions).plan()
        return str(raised.value)

    assert "not in the registry" in await refusal("absent", AFTER)
    assert "does not exist" in await refusal("ops.alerts.v1", AFTER)
    assert "never taken away" in await refusal(TOPIC, BEFORE)
    assert "--outside-producers-stopped" in await refusal("work-items.commands.v1", AFTER)
    growth = TopicGrowth(settings, scan, admin, "work-items.commands.v1", AFTER)
    assert (await growth.plan(outside_producers_stopped=True)).partitions_now == BEFORE


async def test_a_plan_changes_nothing(
    fresh_kafka: FreshKafka, admin: AIOKafkaAdminClient, settings: Settings, scan: asyncpg.Pool
) -> None:
    await small_topic(fresh_kafka)
    before = await scan.fetch("select shard, owner, term from relay_shards order by shard")
    await TopicGrowth(settings, scan, admin, TOPIC, AFTER).plan()
    assert await count_partitions(admin, fresh_kafka) == BEFORE
    assert await scan.fetch("select shard, owner, term from relay_shards order by shard") == before
