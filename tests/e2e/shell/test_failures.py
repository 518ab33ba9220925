"""What a batch does when something in it, or around it, fails: the right message is parked, nothing else is lost."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from processors.shell import Decided, Message
from projections.work_item_board import BoardRow, WorkItemBoard
from schemas.errors import ConcurrencyConflict
from tests.e2e.shell.conformance import SUBJECTS, Subject, item_id
from tests.e2e.shell.harness import create_group_topics, execute, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

BOARD = SUBJECTS["projections.work_item_board.v1"]
WORK_ITEMS = SUBJECTS["work-items"]


class Fussy(WorkItemBoard):
    """The board, with rows that cannot be saved while they are in `unsaveable`, and conflicts on order."""

    def __init__(self) -> None:
        super().__init__(1)
        self.unsaveable: set[tuple[str, int]] = set()
        self.conflicts = 0
        self.saved: list[tuple[str, int]] = []

    async def save(self, conn: Any, states: Mapping[Any, BoardRow], outputs: Sequence[None], now: datetime) -> None:
        if self.conflicts:
            self.conflicts -= 1
            raise ConcurrencyConflict(1, 2)
        for row in states.values():
            if {(row.work_item_id, number) for number in range(1, row.ce_sequence + 1)} & self.unsaveable:
                raise ValueError("cannot be saved")
        await super().save(conn, states, outputs, now)


class ByName(Fussy):
    """Without numbers: what the inbox alone keeps in order. Remembers the order in which messages took effect."""

    def decide(self, state: BoardRow | None, message: Message, now: datetime) -> Decided[BoardRow, None]:
        decided = super().decide(state, message, now)
        version = getattr(message.payload, "version", 0)
        return Decided(decided.state._replace(ce_sequence=version))


async def _parked(database: ClonedDatabase) -> list[tuple[int, str]]:
    found = await rows(database, 'select "offset", reason from parked_messages order by "offset"')
    return [(row["offset"], row["reason"]) for row in found]


async def _applied(database: ClonedDatabase, subject: Subject, key: str, count: int) -> bool:
    return (await subject.read(database)).get(item_id(key)) == (count, count)


@pytest.mark.requirement("SP-9")
async def test_a_row_that_cannot_be_saved_parks_its_message_and_no_other(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    board = Fussy()
    await create_group_topics(fresh_kafka, board, 1)
    board.unsaveable = {(item_id("bad"), 2)}
    await produce(fresh_kafka, BOARD.topic, [*BOARD.history("good", 3), *BOARD.history("bad", 3), *BOARD.history("also", 2)])
    async with member(settings_for(database, fresh_kafka), board):
        await until(lambda: _applied(database, BOARD, "also", 2), what="the last key")
        assert await _parked(database) == [(4, "error"), (5, "follows")]
        assert await _applied(database, BOARD, "good", 3)
        assert await _applied(database, BOARD, "bad", 1)


@pytest.mark.hole("gap-waits")
async def test_a_waiting_message_that_cannot_be_saved_is_parked_itself_and_not_the_one_that_released_it(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    board = Fussy()
    await create_group_topics(fresh_kafka, board, 1)
    first, second, third, fourth = BOARD.history("k", 4)
    board.unsaveable = {(item_id("k"), 3)}
    async with member(settings_for(database, fresh_kafka), board):
        await produce(fresh_kafka, BOARD.topic, [first, third, fourth])
        await until(lambda: _waiting(database, 2), what="the gap")
        await produce(fresh_kafka, BOARD.topic, [second])
        await until(lambda: _applied(database, BOARD, "k", 2), what="number 2")
        await until(lambda: _has_parked(database, [(1, "error"), (2, "follows")]), what="numbers 3 and 4 to be parked")
        board.unsaveable.clear()
        await execute(database, "update parked_messages set ordered = 'redrive' where reason = 'error'")
        await until(lambda: _applied(database, BOARD, "k", 4), what="the rest")
    assert await _parked(database) == []
    assert await _waiting(database, 0)


async def _waiting(database: ClonedDatabase, count: int) -> bool:
    return len(await rows(database, "select from waiting_messages")) == count


async def _has_parked(database: ClonedDatabase, expected: list[tuple[int, str]]) -> bool:
    return await _parked(database) == expected


@pytest.mark.requirement("SP-9")
async def test_a_redrive_whose_head_cannot_be_saved_lets_nothing_overtake(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    """Messages without numbers: only the marker keeps them in order, also when the batch is split to find the culprit."""
    board = ByName()
    await create_group_topics(fresh_kafka, board, 1)
    messages = [
        type(one)(**{**{name: getattr(one, name) for name in one.__slots__}, "sequence": None}) for one in BOARD.history("k", 5)
    ]
    board.unsaveable = {(item_id("k"), 2)}
    await produce(fresh_kafka, BOARD.topic, messages)
    async with member(settings_for(database, fresh_kafka), board):
        parked = [(1, "error"), (2, "follows"), (3, "follows"), (4, "follows")]
        await until(lambda: _has_parked(database, parked), what="the key to be parked")
        await execute(database, "update parked_messages set ordered = 'redrive' where reason = 'error'")
        await until(lambda: _attempted(database), what="the redrive")
        assert await _parked(database) == parked
        assert await _applied(database, BOARD, "k", 1)
        board.unsaveable.clear()
        await execute(database, "update parked_messages set ordered = 'redrive' where reason = 'error'")
        await until(lambda: _applied(database, BOARD, "k", 5), what="the rest, in order")
    assert await _parked(database) == []


async def _attempted(database: ClonedDatabase) -> bool:
    return bool(await rows(database, "select from parked_messages where attempts = 2"))


async def test_a_conflict_with_another_writer_repeats_the_batch(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    board = Fussy()
    await create_group_topics(fresh_kafka, board, 1)
    board.conflicts = 3
    await produce(fresh_kafka, BOARD.topic, BOARD.history("k", 1))
    async with member(settings_for(database, fresh_kafka), board):
        await until(lambda: _applied(database, BOARD, "k", 1), what="the message")
    assert await _parked(database) == []


async def test_a_migration_under_a_running_member_parks_nothing(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    """PostgreSQL refuses a cached plan once; a retry makes a new one. A batch of one message must not be blamed."""
    await create_group_topics(fresh_kafka, BOARD.make(), 1)
    history = BOARD.history("k", 8)
    async with member(settings_for(database, fresh_kafka), BOARD.make()):
        for number, one in enumerate(history, 1):
            await produce(fresh_kafka, BOARD.topic, [one])
            await until(lambda number=number: _applied(database, BOARD, "k", number), what=f"number {number}")  # type: ignore[misc]
            if number in (2, 5):
                kind = "varchar(500)" if number == 2 else "text"
                await execute(database, f"alter table parked_keys alter tenant_id type {kind}")
                await execute(database, f"alter table applied_sequences alter source type {kind}")
    assert await _parked(database) == []


async def test_one_identity_on_two_partitions_takes_effect_once(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    """A producer that changed its key: two members may look into the inbox at the same time."""
    await WORK_ITEMS.prepare(database)
    await create_group_topics(fresh_kafka, WORK_ITEMS.make(), 1)
    (create,) = WORK_ITEMS.history("k", 1)
    other = await asyncpg.connect(database.url("superuser"))
    try:
        transaction = other.transaction()
        await transaction.start()
        # What the other member's transaction wrote and has not committed yet.
        await other.execute(
            "insert into inbox (tenant_id, group_name, source, event_id) values ($1, $2, $3, $4)",
            create.tenant,
            WORK_ITEMS.group,
            create.source,
            create.id,
        )
        await produce(fresh_kafka, WORK_ITEMS.topic, [create])
        async with member(settings_for(database, fresh_kafka), WORK_ITEMS.make()):
            await until(lambda: _blocked(database), what="the member to wait for the inbox row")
            await transaction.commit()
            await until(lambda: _read_to(database, WORK_ITEMS.group, 1), what="the record to be read")
    finally:
        await other.close()
    assert await WORK_ITEMS.read(database) == {}


async def _blocked(database: ClonedDatabase) -> bool:
    found = await rows(
        database,
        "select from pg_stat_activity "
        "where datname = current_database() and wait_event_type = 'Lock' and usename = 'cs_worker'",
    )
    return bool(found)


async def _read_to(database: ClonedDatabase, group: str, position: int) -> bool:
    found = await rows(database, "select sum(next) as reached from consumer_offsets where group_name = $1", group)
    return bool(found[0]["reached"] == position)


async def test_a_member_that_finds_no_database_leaves_when_asked(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    from processors.shell import GroupMember

    settings = settings_for(database, fresh_kafka, DATABASE_URL="postgresql://nobody:x@127.0.0.1:1/none")
    stop = asyncio.Event()
    task = asyncio.create_task(GroupMember(settings, BOARD.make(), "test-0", stop).run())
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(task, 60)


@pytest.mark.hole("gap-waits")
async def test_an_operator_skips_a_number_that_will_never_come(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    await create_group_topics(fresh_kafka, BOARD.make(), 1)
    history = BOARD.history("k", 5)
    async with member(settings_for(database, fresh_kafka), BOARD.make()):
        await produce(fresh_kafka, BOARD.topic, [*history[:2], *history[3:]])
        await until(lambda: _waiting(database, 2), what="the gap")
        await execute(database, "update waiting_messages set skip = true")
        await until(lambda: _waiting(database, 0), what="the gap to be closed")
    assert (await BOARD.read(database))[item_id("k")] == (4, 5)
    (baseline,) = await rows(database, "select baseline, reason from sequence_baselines")
    assert (baseline["baseline"], baseline["reason"]) == (3, "operator")
