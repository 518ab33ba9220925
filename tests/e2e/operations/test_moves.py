"""Moving groups with `casestream offsets` while their members run."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from domain.operations.decisions import Target, refuse_below_inbox
from domain.operations.positions import move
from projections.work_item_board import WorkItemBoard
from runtime.cli.offsets import plan
from runtime.watermarks import watermarks
from schemas.registry import Group
from tests.e2e.operations.commands import casestream
from tests.e2e.operations.items import GROUP, TABLE, TOPIC, create_topics, events_of
from tests.e2e.shell.harness import environ_for, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

MOVE = ("offsets", "move", "--group", GROUP, "--topic", TOPIC)


async def numbers(database: ClonedDatabase) -> dict[str, int]:
    return {row["work_item_id"]: row["ce_sequence"] for row in await rows(database, f"select * from {TABLE}")}


async def position(database: ClonedDatabase) -> tuple[int, int]:
    (row,) = await rows(database, "select next, epoch from consumer_offsets where group_name = $1", GROUP)
    return row["next"], row["epoch"]


@pytest.mark.requirement("SP-6")
@pytest.mark.hole("lost-fence-reowns")
async def test_a_move_back_is_followed_by_the_running_idle_owner_and_repeats_nothing(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    await create_topics(fresh_kafka, partitions=1)
    environ = environ_for(database, fresh_kafka)
    await produce(fresh_kafka, TOPIC, events_of("i1", 5))

    async with member(settings_for(database, fresh_kafka), WorkItemBoard(1)):
        await until(lambda: _has(database, {"i1": 5}), what="the first pass")
        before = await rows(database, f"select * from {TABLE}")
        taken = await position(database)

        planned = await casestream(environ, *MOVE, "--to-earliest")
        assert (planned["read_again"], planned["skipped"], planned["executed"]) == (5, 0, False)
        assert planned["effects_repeated"].startswith("none: a projection")
        assert await position(database) == taken

        await casestream(environ, *MOVE, "--to-earliest", "--reason", "a drill", "--execute")
        # Raised by the move, and again by the owner that takes the partition anew; nothing was produced meanwhile.
        await until(lambda: _is_at(database, (5, taken[1] + 2)), what="the owner's second pass")

        await produce(fresh_kafka, TOPIC, events_of("i1", 6, first=6))
        await until(lambda: _has(database, {"i1": 6}), what="an event after the move")

    (after,) = await rows(database, f"select * from {TABLE}")
    assert after["assignment_count"] == before[0]["assignment_count"]
    assert after["seconds_waiting_internal"] - before[0]["seconds_waiting_internal"] == 60
    assert await rows(database, "select from audit_log where action = 'offsets.move' and reason = 'a drill'")


async def test_after_a_forward_move_the_first_gap_of_an_aggregate_is_closed_and_listed_once(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    await create_topics(fresh_kafka, partitions=1)
    environ = environ_for(database, fresh_kafka)
    settings = settings_for(database, fresh_kafka)
    for item in ("i1", "i2"):
        await produce(fresh_kafka, TOPIC, events_of(item, 2))
    async with member(settings, WorkItemBoard(1)):
        await until(lambda: _has(database, {"i1": 2, "i2": 2}), what="the beginning")
    # While nobody reads: two numbers of each that nobody will ever see.
    for item in ("i1", "i2"):
        await produce(fresh_kafka, TOPIC, events_of(item, 4, first=3))

    planned = await casestream(environ, *MOVE, "--shift-by", "4", "--execute")
    assert (planned["read_again"], planned["skipped"]) == (0, 4)

    for item in ("i1", "i2"):
        await produce(fresh_kafka, TOPIC, events_of(item, 6, first=5))
    async with member(settings, WorkItemBoard(1)):
        await until(lambda: _has(database, {"i1": 6, "i2": 6}), what="both items taken up behind the gap")

    found = await rows(database, "select kind, object_id from incidents where kind = 'skipped-range'")
    assert found == [{"kind": "skipped-range", "object_id": f"{GROUP}/{TOPIC}-0"}]
    baselines = await rows(database, "select aggregate, baseline, reason from sequence_baselines order by 1")
    assert [(row["baseline"], row["reason"]) for row in baselines] == [(4, "skipped-range")] * 2


@pytest.mark.hole("gap-waits")
async def test_a_number_that_never_comes_is_given_up_by_command_only(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    await create_topics(fresh_kafka, partitions=1)
    environ = environ_for(database, fresh_kafka)
    first, _, third, fourth = events_of("i1", 4)
    await produce(fresh_kafka, TOPIC, [first, third, fourth])
    skip = ("offsets", "skip-gap", "--group", GROUP, "--topic", TOPIC, "--aggregate", "acme|work_item|i1")

    async with member(settings_for(database, fresh_kafka), WorkItemBoard(1)):
        await until(lambda: rows(database, "select from waiting_messages having count(*) = 2"), what="two waiting messages")
        (planned,) = await casestream(environ, *skip)
        assert (planned["waiting_for"], planned["lowest"], planned["messages"]) == (2, 3, 2)
        assert await numbers(database) == {"i1": 1}

        await casestream(environ, *skip, "--reason", "lost upstream", "--execute")

        await until(lambda: _has(database, {"i1": 4}), what="what waited")
    assert await rows(database, "select from sequence_baselines where reason = 'operator' and baseline = 2")


@pytest.mark.hole("foreign-offset-incident")
async def test_a_stock_tools_reset_moves_nothing_and_raises_an_incident_with_the_right_command(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    """The reset is the request that Kafka's own admin sends: a commit without a generation, once the group is empty."""
    await create_topics(fresh_kafka, partitions=1)
    settings = settings_for(database, fresh_kafka)
    await produce(fresh_kafka, TOPIC, events_of("i1", 3))
    async with member(settings, WorkItemBoard(1)):
        await until(lambda: _has(database, {"i1": 3}), what="the row")

    await until(lambda: _reset_with_stock_tool(fresh_kafka, 1), what="the reset of the emptied group")
    async with member(settings, WorkItemBoard(1)):
        (incident,) = await until(lambda: rows(database, "select summary, cure from incidents where kind = 'foreign-offset'"))
        lag = await casestream(environ_for(database, fresh_kafka), "group", "lag", GROUP)

    assert incident["cure"].startswith(f"casestream offsets move --group {GROUP} --topic {TOPIC} --partition 0")
    assert (await position(database))[0] == 3
    assert [row["lag"] for row in lag] == [0]


@pytest.mark.requirement("SP-6")
async def test_an_effect_group_is_not_moved_below_what_its_inbox_remembers_unless_a_reason_is_given(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    topic, effects = "crm.entity.events", Group("effects", ("crm.entity.events",))
    await fresh_kafka.create_topics([topic], 1, {"retention.ms": "-1", "message.timestamp.before.max.ms": str(2**62)})
    settings, now = settings_for(database, fresh_kafka), datetime.now(UTC)
    await _produce_aged(fresh_kafka, topic, [now - timedelta(days=days) for days in (20, 15, 13, 1)])

    async with asyncpg.create_pool(database.url("worker"), min_size=1) as pool, watermarks(settings) as kafka:
        everything = await plan(settings, pool, kafka, effects, topic, None, Target("earliest"), None)
        remembered = await plan(settings, pool, kafka, effects, topic, 0, Target("instant"), now - timedelta(days=13, hours=12))

    # 7 days of retention and 7 of margin: the first two may have been forgotten.
    assert isinstance(everything, list)
    assert isinstance(remembered, list)
    assert [(move.to, move.below_inbox) for move in everything + remembered] == [(0, True), (2, False)]
    refused = refuse_below_inbox(everything, None)
    assert refused is not None
    assert "--below-inbox" in refused.message
    async with asyncpg.create_pool(database.url("worker"), min_size=1) as pool, pool.acquire() as conn, conn.transaction():
        await move(conn, effects.name, everything, actor="cli:ann", below_inbox="the mails never left")
    assert await rows(database, "select from audit_log where reason = 'the mails never left'")


async def _produce_aged(kafka: FreshKafka, topic: str, instants: list[datetime]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    await producer.start()
    try:
        for instant in instants:
            await producer.send_and_wait(kafka.topic(topic), b"{}", b"k", timestamp_ms=int(instant.timestamp() * 1000))
    finally:
        await producer.stop()


async def _reset_with_stock_tool(kafka: FreshKafka, offset: int) -> bool:
    place = TopicPartition(kafka.topic(TOPIC), 0)
    client = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, group_id=kafka.group(GROUP), enable_auto_commit=False)
    await client.start()
    try:
        client.assign([place])
        await asyncio.wait_for(client.commit({place: OffsetAndMetadata(offset, "")}), 5)
    except (KafkaError, TimeoutError):
        return False
    finally:
        await client.stop()
    return True


async def _has(database: ClonedDatabase, wanted: dict[str, int]) -> bool:
    return await numbers(database) == wanted


async def _is_at(database: ClonedDatabase, wanted: tuple[int, int]) -> bool:
    return await position(database) == wanted
