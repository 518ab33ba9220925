"""What a member does by itself about a number that stays away, and about a position that Kafka does not have any more."""

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from projections.work_item_board import WorkItemBoard
from runtime.partitioner import partition_of
from tests.e2e.operations.commands import casestream
from tests.e2e.operations.items import GROUP, TABLE, TOPIC, create_topics, events_of
from tests.e2e.shell.harness import environ_for, execute, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until


@pytest.mark.requirement("SP-9")
@pytest.mark.hole("gap-waits")
async def test_a_gap_of_60_seconds_is_reported_by_the_shell_and_still_waits(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    """The waiting row is made older, not the clock. Control: after 50 s nothing is reported, though the gap was looked at.

    The younger gap is skipped by an operator and so seen to be closed by a later round than the one that must not report.
    """
    await create_topics(fresh_kafka, partitions=1)
    late, witness = events_of("late", 3), events_of("witness", 3)
    await produce(fresh_kafka, TOPIC, [late[0], late[2], witness[0], witness[2]])
    async with member(settings_for(database, fresh_kafka), WorkItemBoard(1)):
        await until(lambda: _waiting(database, 2), what="both gaps")
        await execute(database, "update waiting_messages set since = since - interval '45 s'")
        await execute(database, "update waiting_messages set skip = true where aggregate like '%witness'")
        await until(lambda: _waiting(database, 1), what="a round of the member")
        assert await _reported(database, "sequence-gap") == []

        await execute(database, "update waiting_messages set since = since - interval '60 s'")
        (incident,) = await until(lambda: _reported(database, "sequence-gap"), what="the incident")
        assert incident["object_id"] == f"{GROUP}/{TOPIC}/acme|work_item|late"
        assert "casestream offsets skip-gap" in incident["cure"]
        assert await _numbers(database) == {"late": 1, "witness": 3}, "reported, not given up"

        await produce(fresh_kafka, TOPIC, [late[1]])
        await until(lambda: _has(database, {"late": 3, "witness": 3}), what="the number that came after all")
    assert await rows(database, "select from parked_messages") == []


@pytest.mark.requirement("SP-9")
async def test_a_position_that_kafka_deleted_stops_its_partition_until_the_group_is_moved(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    """Fails when the client resets by itself (numbers would be taken up or wait), when the other partition stops too, or
    when the move does not wake the partition."""
    await create_topics(fresh_kafka, partitions=2)
    settings = settings_for(database, fresh_kafka)
    cut, flows = (_item_in(number) for number in (0, 1))
    await produce(fresh_kafka, TOPIC, [*events_of(cut, 2), *events_of(flows, 2)])
    async with member(settings, WorkItemBoard(1)):
        await until(lambda: _has(database, {cut: 2, flows: 2}), what="the beginning")
    # Behind where the group stands: three and four go, five stays.
    await produce(fresh_kafka, TOPIC, events_of(cut, 5, first=3))
    await _delete_before(fresh_kafka, 0, 4)

    async with member(settings, WorkItemBoard(1)):
        (incident,) = await until(lambda: _reported(database, "offset-out-of-range"), what="the incident")
        assert incident["object_id"] == f"{GROUP}/{TOPIC}-0"
        await produce(fresh_kafka, TOPIC, [*events_of(flows, 3, first=3), *events_of(cut, 6, first=6)])
        await until(lambda: _has(database, {cut: 2, flows: 3}), what="the other partition to flow")
        assert await _position(database, 0) == 2
        assert await rows(database, "select from waiting_messages") == []

        command = incident["cure"].removeprefix("casestream ").split()
        moved = await casestream(environ_for(database, fresh_kafka), *command, "--execute")
        assert (moved["skipped"], moved["executed"]) == (0, True), "what is gone cannot be skipped"
        await until(lambda: _has(database, {cut: 6, flows: 3}), what="the partition to go on")
    assert await _position(database, 0) == 6
    assert await _reported(database, "skipped-range"), "what was skipped is told"


def _item_in(partition: int) -> str:
    names = (f"i{number}" for number in range(100))
    return next(name for name in names if partition_of(f"acme|work_item|{name}".encode(), 2) == partition)


async def _delete_before(kafka: FreshKafka, partition: int, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(kafka.topic(TOPIC), partition): RecordsToDelete(offset)})
    finally:
        await admin.close()


async def _numbers(database: ClonedDatabase) -> dict[str, int]:
    return {row["work_item_id"]: row["ce_sequence"] for row in await rows(database, f"select * from {TABLE}")}


async def _has(database: ClonedDatabase, wanted: dict[str, int]) -> bool:
    return await _numbers(database) == wanted


async def _waiting(database: ClonedDatabase, count: int) -> bool:
    return len(await rows(database, "select from waiting_messages")) == count


async def _reported(database: ClonedDatabase, kind: str) -> list[dict[str, str]]:
    return await rows(database, "select object_id, cure from incidents where kind = $1 and state = 'open'", kind)


async def _position(database: ClonedDatabase, partition: int) -> int:
    query = "select next from consumer_offsets where topic = $1 and partition = $2"
    return int((await rows(database, query, TOPIC, partition))[0]["next"])
