"""The board end to end: events on the topic become rows, once, in order."""

import random
from pathlib import Path

import asyncpg
import pytest

from projections import work_item_board
from projections.work_item_board import BoardRow, WorkItemBoard, fold
from schemas.models import Payload
from schemas.registry import dlt_topic
from schemas.work_items import WorkItemCreated, WorkItemStatusChanged
from tests.e2e.shell.conformance import Subject, table_version
from tests.e2e.shell.deliveries import mixed, redelivered
from tests.e2e.shell.harness import at, create_group_topics, event, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

TOPIC = "work-items.events.v1"


def created(item: str, version: int = 1, minutes: float = 0) -> Payload:
    return WorkItemCreated(
        work_item_id=item, version=version, changed_by="u1", changed_at=at(minutes), source="CRM_UI", priority="high"
    )


def moved(item: str, version: int, old: str, new: str, action: str, minutes: float) -> Payload:
    return WorkItemStatusChanged.model_validate(
        {
            "workItemId": item,
            "version": version,
            "changedBy": "u1",
            "changedAt": at(minutes),
            "source": "CRM_UI",
            "oldStatus": old,
            "newStatus": new,
            "action": action,
        }
    )


def history(item: str) -> list[Payload]:
    return [
        created(item),
        moved(item, 1, "draft", "open", "Submit", 0),
        moved(item, 2, "open", "in_progress", "StartWork", 10),
        moved(item, 3, "in_progress", "resolved", "Resolve", 40),
        moved(item, 4, "resolved", "closed", "Close", 50),
    ]


@pytest.mark.requirement("SP-4", "SP-5", "SP-6")
async def test_events_delivered_twice_give_one_right_row(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    board = WorkItemBoard(1)
    await create_group_topics(fresh_kafka, board)
    settings = settings_for(database, fresh_kafka)
    events = [event(payload, sequence=number) for number, payload in enumerate(history("i1"), 1)]
    await produce(fresh_kafka, TOPIC, [*events, *events, events[0]])

    async with member(settings, board):
        await until(lambda: _closed(database), what="the row of i1")

    (row,) = await rows(database, "select * from projections.work_item_board__v1")
    assert (row["status"], row["priority"], row["reopen_count"], row["ce_sequence"]) == ("closed", "high", 0, 5)
    assert (row["seconds_open"], row["seconds_in_progress"], row["seconds_resolved"]) == (600, 1800, 600)
    assert (row["opened_at"], row["resolved_at"], row["closed_at"]) == (at(0), at(40), at(50))
    assert not await rows(database, "select * from parked_messages")


async def _closed(database: ClonedDatabase) -> bool:
    return bool(await rows(database, "select from projections.work_item_board__v1 where status = 'closed'"))


@pytest.mark.requirement("SP-6")
@pytest.mark.hole("version-is-a-consumer")
async def test_two_versions_side_by_side_end_with_equal_rows_at_places_of_their_own(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    """The second comes when the first has read half; other batches, other repeats, the same table in the end.

    Fails when the versions share a position (the second would begin in the middle), a table, or numbers that were seen.
    """
    first, second = (table_version("work_item_board", version, (TOPIC,)) for version in (1, 2))
    await second.prepare(database)
    await create_group_topics(fresh_kafka, first.make())
    await fresh_kafka.create_topics([dlt_topic(TOPIC, second.group)], 2)
    dice, keys = random.Random(21), [f"k{number}" for number in range(5)]
    halves = [mixed([redelivered(first.history(key, length), dice) for key in keys], dice) for length in (4, 9)]
    settings = [settings_for(database, fresh_kafka, CASESTREAM_CONSUMER__BATCH_MAX_RECORDS=size) for size in ("3", "1000")]

    await produce(fresh_kafka, TOPIC, halves[0])
    async with member(settings[0], first.make()):
        await until(lambda: _all_applied(database, first, 4, len(halves[0])), what="the first version to read the first half")
        assert await second.read(database) == {}
        async with member(settings[1], second.make()):
            await until(lambda: _all_applied(database, second, 4, len(halves[0])), what="the second version to catch up")
        await produce(fresh_kafka, TOPIC, halves[1])
        everything = len(halves[0]) + len(halves[1])
        await until(lambda: _all_applied(database, first, 9, everything), what="the first version to read the rest")
        assert await _all_applied(database, second, 4, len(halves[0])), "it is away, so it stands where it stood"
    async with member(settings[1], second.make()):
        await until(lambda: _all_applied(database, second, 9, everything), what="the second version to read the rest")

    tables = [await rows(database, f"select * from projections.work_item_board__v{n} order by work_item_id") for n in (1, 2)]
    assert len(tables[0]) == len(keys)
    assert tables[0] == tables[1]


async def _all_applied(database: ClonedDatabase, version: Subject, length: int, records: int) -> bool:
    """Every key's history took effect once, and the version's own positions are past that many records."""
    found = await rows(database, "select sum(next)::int as total from consumer_offsets where group_name = $1", version.group)
    return found[0]["total"] == records and set((await version.read(database)).values()) == {(length, length)}


async def test_a_stale_row_changes_nothing(database: ClonedDatabase) -> None:
    """The last line of defence, below the shell's numbers: the statement itself. Without its `where` both would pass."""
    board, conn = WorkItemBoard(1), await asyncpg.connect(database.url("superuser"))
    try:
        row = _row(history("i1"))._replace(ce_source="casestream", ce_sequence=5)
        await board.save(conn, {"i1": row}, [], at(60))
        written = await conn.fetchrow("select * from projections.work_item_board__v1")
        for number in (1, 4, 5):
            await board.save(conn, {"i1": row._replace(status="stale", version=99, ce_sequence=number)}, [], at(60))
            assert await conn.fetchrow("select * from projections.work_item_board__v1") == written
        for later in (row._replace(ce_sequence=6), row._replace(ce_source="casestream#2", ce_sequence=1)):
            await board.save(conn, {"i1": later}, [], at(60))
            found = await conn.fetchrow("select ce_source, ce_sequence from projections.work_item_board__v1")
            assert found is not None
            assert tuple(found) == (later.ce_source, later.ce_sequence)
    finally:
        await conn.close()


async def test_control_without_its_guard_the_statement_takes_a_stale_row(database: ClonedDatabase) -> None:
    conn = await asyncpg.connect(database.url("superuser"))
    try:
        text = (Path(work_item_board.__file__).with_suffix(".sql")).read_text().partition("upsert_rows!")[2]
        guard = text.index("where t.ce_source")
        unguarded = text[text.index("insert into") : guard].replace(":rows", "$1")
        row = _row(history("i1"))._replace(ce_source="casestream", ce_sequence=5)
        for one in (row, row._replace(status="open", ce_sequence=2)):
            await conn.execute(unguarded, [tuple(one)])
        assert await conn.fetchval("select ce_sequence from projections.work_item_board__v1") == 2
    finally:
        await conn.close()


def _row(payloads: list[Payload]) -> BoardRow:
    row: BoardRow | None = None
    for payload in payloads:
        row = fold(row, payload, "acme")  # type: ignore[arg-type]  # all are the board's events
    assert row is not None
    return row
