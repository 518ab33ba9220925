"""P8 at a bad moment: a subject is shredded while a rebuild has read half of the store, with the key in its ring."""

import asyncio
import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from domain.keys.shred import Shredder
from runtime.cli.purgers import PURGERS
from runtime.keys.ledger_file import LedgerFile
from tests.e2e.rebuild.test_kills import has_scanned
from tests.e2e.rebuild.world import PARTITIONS, TOPIC, World
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.keys.test_shred import entry
from tests.waiting import until

TENANT, SUBJECT = "north", "victim"
CASES, VERSIONS = 24, 2


@pytest.mark.requirement("CD-13", "trap-80")
@pytest.mark.hole("shredded-subject-refused")
async def test_a_subject_that_is_shredded_while_a_rebuild_reads_it_is_in_no_version(
    world: World, keys_database: ClonedDatabase, tmp_path: Path
) -> None:
    await world.serve_first()
    for number in range(CASES * VERSIONS):
        case = number % CASES
        await world.store(f"c-{case:02}", number, subject=SUBJECT if case % 2 else None)
    await world.applied(1, CASES * VERSIONS)
    secret = bytes((await world.ring.current([(TENANT, SUBJECT)]))[TENANT, SUBJECT].secret)
    keys = await asyncpg.create_pool(keys_database.url("keys"), min_size=1, max_size=2)
    wrapped = [bytes(row["wrapped"]) for row in await keys.fetch("select wrapped from data_keys")]

    # Slow enough that the shred falls into it.
    rebuild = await world.order("store", rate=15)
    scanner, stop = world.scanner("slow"), asyncio.Event()
    scanning = asyncio.create_task(scanner.run(stop))
    try:
        async with asyncio.timeout(90):
            while not await has_scanned(world, rebuild, CASES // 2):
                await world.round()
        half = (await world.look("select sum(scanned)::int as n from rebuild_slices"))[0]["n"]
        report = await Shredder(world.worker, keys, LedgerFile(tmp_path / "shredded.jsonl"), PURGERS).shred(
            entry((TENANT, SUBJECT))
        )
    finally:
        stop.set()
        await scanning
    assert half < CASES * VERSIONS, "the scan was not over"
    assert (report.keys_destroyed, report.purged_at is None) == (1, False)
    await world.until_state(rebuild, "ready")
    assert await erased(world, 1) == await erased(world, 2) == CASES // 2

    later = await world.until_state(await world.order("topic"), "ready")
    await world.applied(later["version"], CASES * VERSIONS)
    await until(lambda: has_all(world, later["version"]), 60, "all rows")
    assert await erased(world, later["version"]) == CASES // 2, "a later rebuild leaves tombstones and goes on"
    for version in (2, later["version"]):
        order = await world.verify(version)
        assert order["verdict"] == "equal", order["report"]
    assert (await world.verify(2, whole=True))["verdict"] == "equal"
    await keys.close()

    assert not await found_in_topic(world, [secret, *wrapped])


async def has_all(world: World, version: int) -> bool:
    return len(await world.rows(version)) == CASES


async def erased(world: World, version: int) -> int:
    """How many rows are tombstones of the subject; all others are filled, and no value or child row of it is left."""
    rows, children = await world.rows(version), await world.children(version)
    gone = [row for row in rows if row["tombstone"] == "erased"]
    assert {row["subject_id"] for row in gone} == {SUBJECT}
    assert {(row["total"], row["class_name"]) for row in gone} == {(None, None)}
    assert all(row["total"] is not None for row in rows if row["subject_id"] != SUBJECT)
    assert {row["case_id"] for row in children}.isdisjoint(row["case_id"] for row in gone)
    return len(gone)


async def found_in_topic(world: World, needles: Sequence[bytes]) -> list[bytes]:
    """Which of these a reader of the whole topic finds, as they are, in base64 or inside what base64 stands for."""
    texts = [form for needle in needles for form in (needle, base64.b64encode(needle))]
    found: list[bytes] = []
    read = 0
    for record in await records(world):
        read += 1
        sealed = base64.b64decode(record.value[record.value.index(b'"snapshot":"') + 12 :].split(b'"')[0])
        haystack = b"\0".join((record.key, record.value, sealed, *(value for _, value in record.headers)))
        found += [text for text in texts if text in haystack]
        assert sealed[60:90] in haystack, "the look finds what is there"
    assert read == CASES * VERSIONS
    return found


async def records(world: World) -> list[Any]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=world.kafka.bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        places = [TopicPartition(world.kafka.topic(TOPIC), number) for number in range(PARTITIONS)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        got: list[Any] = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            got += [one for batch in (await consumer.getmany(timeout_ms=500)).values() for one in batch]
        return got
    finally:
        await consumer.stop()
