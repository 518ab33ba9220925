"""A record batch that rotted on the broker's disk stops its partition, alone; nothing in front of it is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest

from projections.work_item_board import WorkItemBoard
from runtime.partitioner import partition_of
from runtime.stack.kafka import KafkaCluster
from tests.e2e.operations.commands import casestream
from tests.e2e.operations.items import GROUP, TABLE, TOPIC, create_topics, events_of
from tests.e2e.shell.harness import environ_for, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

# Of a batch in the log: first offset, length of what follows, then the body, which the checksum covers nearly whole.
_HEAD = 12


@pytest.mark.requirement("SP-9")
async def test_it_stops_its_partition_alone_and_the_group_can_be_moved_past_it(
    database: ClonedDatabase, own_kafka: Callable[..., KafkaCluster]
) -> None:
    """Fails when the member stops as a whole, dies, skips the batch in silence, or loses what was fetched with it."""
    cluster = own_kafka()
    kafka = FreshKafka(cluster.bootstrap_servers)
    await create_topics(kafka, partitions=2)
    rotten, sound = (_item_in(number) for number in (0, 1))
    history = events_of(rotten, 5)
    for one in history:
        await produce(kafka, TOPIC, [one])  # each in a batch of its own
    await produce(kafka, TOPIC, events_of(sound, 3))
    [node] = cluster.nodes.values()
    _rot(node.folder / "data" / f"{kafka.topic(TOPIC)}-0" / f"{0:020d}.log", batch=2)

    async with member(settings_for(database, kafka), WorkItemBoard(1)):
        (incident,) = await until(lambda: _reported(database), what="the incident")
        assert incident["object_id"] == f"{GROUP}/{TOPIC}-0"
        assert "offset 2 " in incident["summary"]
        assert "CorruptRecord" in incident["summary"]
        await until(lambda: _has(database, {rotten: 2, sound: 3}), what="what lies before it, and the other partition")

        await produce(kafka, TOPIC, events_of(sound, 4, first=4))
        await until(lambda: _has(database, {rotten: 2, sound: 4}), what="the other partition to go on")

        command = incident["cure"][incident["cure"].index("casestream ") :].split()[1:]
        command[command.index("N")] = "3"
        await casestream(environ_for(database, kafka), *command, "--execute")
        # Number 3 is skipped: 4 and 5 are read, and wait for the rule of skipped ranges.
        await until(lambda: _stands_at(database, 5), what="what lies behind it")


def _rot(log: Path, batch: int) -> None:
    """Flip one bit in the body of the batch with this number."""
    content, at = bytearray(log.read_bytes()), 0
    for _ in range(batch):
        at += _HEAD + int.from_bytes(content[at + 8 : at + _HEAD], "big")
    last = at + _HEAD + int.from_bytes(content[at + 8 : at + _HEAD], "big") - 1
    with log.open("r+b") as file:
        file.seek(last)
        file.write(bytes([content[last] ^ 1]))


def _item_in(partition: int) -> str:
    names = (f"i{number}" for number in range(100))
    return next(name for name in names if partition_of(f"acme|work_item|{name}".encode(), 2) == partition)


async def _reported(database: ClonedDatabase) -> list[dict[str, str]]:
    query = "select object_id, summary, cure from incidents where kind = 'unreadable-batch' and state = 'open'"
    return await rows(database, query)


async def _stands_at(database: ClonedDatabase, offset: int) -> bool:
    (row,) = await rows(database, "select next from consumer_offsets where topic = $1 and partition = 0", TOPIC)
    return bool(row["next"] == offset)


async def _has(database: ClonedDatabase, wanted: dict[str, int]) -> bool:
    return {row["work_item_id"]: row["ce_sequence"] for row in await rows(database, f"select * from {TABLE}")} == wanted
