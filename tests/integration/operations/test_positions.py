"""Moving positions and giving up gaps: what is written, and that it is audited in the same transaction."""

import json

import asyncpg
import pytest

from domain.operations.decisions import Bounds, Move
from domain.operations.positions import find_gaps, list_positions, move, skip_gap
from schemas.errors import ConcurrencyConflict, NotFound
from schemas.registry import Place

GROUP, TOPIC = "work-items", "work-items.commands.v1"
BOUNDS = Bounds(0, 100)


async def stand(owner: asyncpg.Connection, *positions: int) -> None:
    for partition, position in enumerate(positions):
        await owner.execute(
            "insert into consumer_offsets (group_name, topic, partition, next, epoch) values ($1, $2, $3, $4, 7)",
            GROUP, TOPIC, partition, position,
        )  # fmt: skip


def moves(*planned: tuple[int | None, int]) -> list[Move]:
    return [Move(Place(TOPIC, partition), at, to, BOUNDS) for partition, (at, to) in enumerate(planned)]


async def test_a_move_raises_the_epoch_and_is_audited(worker: asyncpg.Pool, owner: asyncpg.Connection) -> None:
    await stand(owner, 50, 60)

    async with worker.acquire() as conn, conn.transaction():
        assert await move(conn, GROUP, moves((50, 10), (60, 90)), actor="cli:ann", reason="the mapping was wrong") == 2

    rows = await list_positions(worker, GROUP, TOPIC)  # type: ignore[arg-type]
    assert [(row["next"], row["began_at"], row["epoch"]) for row in rows] == [(10, 10, 8), (90, 90, 8)]
    entry = await owner.fetchrow("select actor, action, object_id, reason, detail from audit_log")
    assert tuple(entry)[:4] == ("cli:ann", "offsets.move", GROUP, "the mapping was wrong")
    assert json.loads(entry["detail"]) == {
        "moves": [[TOPIC, 0, 50, 10], [TOPIC, 1, 60, 90]],
        "readAgain": 40,
        "skipped": 30,
        "belowInbox": None,
    }


async def test_a_forward_move_keeps_the_skipped_range_and_a_move_back_over_it_takes_it_away(
    worker: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    await stand(owner, 50)
    async with worker.acquire() as conn, conn.transaction():
        await move(conn, GROUP, moves((50, 90)), actor="cli:ann")
    ranges = await owner.fetch("select from_next, to_next, moved_by from skipped_ranges")
    assert [tuple(row) for row in ranges] == [(50, 90, "cli:ann")]

    async with worker.acquire() as conn, conn.transaction():
        await move(conn, GROUP, moves((90, 50)), actor="cli:ann")

    assert await owner.fetchval("select count(*) from skipped_ranges") == 0


async def test_what_was_applied_between_plan_and_move_is_no_hindrance(worker: asyncpg.Pool, owner: asyncpg.Connection) -> None:
    await stand(owner, 55)

    async with worker.acquire() as conn, conn.transaction():
        await move(conn, GROUP, moves((50, 90)), actor="cli:ann")

    assert await owner.fetchval("select from_next from skipped_ranges") == 55


async def test_two_operators_do_not_move_over_each_other(worker: asyncpg.Pool, owner: asyncpg.Connection) -> None:
    await stand(owner, 20)

    async with worker.acquire() as conn:
        with pytest.raises(ConcurrencyConflict):
            async with conn.transaction():
                await move(conn, GROUP, moves((50, 40)), actor="cli:bob")

    assert await owner.fetchval("select next from consumer_offsets") == 20
    assert await owner.fetchval("select count(*) from audit_log") == 0


async def test_a_partition_that_nobody_took_begins_where_it_was_moved_to(
    worker: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    async with worker.acquire() as conn, conn.transaction():
        await move(conn, GROUP, moves((None, 30)), actor="cli:ann")

    row = await owner.fetchrow("select next, began_at, epoch from consumer_offsets")
    assert tuple(row) == (30, 30, 1)


async def test_a_move_closes_the_incident_of_the_position(worker: asyncpg.Pool, owner: asyncpg.Connection) -> None:
    await stand(owner, 50)
    for kind in ("offset-out-of-range", "foreign-offset", "sequence-gap"):
        await owner.execute(
            """insert into incidents (tenant_id, incident_id, kind, fingerprint, object_type, object_id, summary)
               values ('', gen_random_uuid(), $1, $1, 'partition', $2, 's')""",
            kind, f"{GROUP}/{TOPIC}-0",
        )  # fmt: skip

    async with worker.acquire() as conn, conn.transaction():
        await move(conn, GROUP, moves((50, 10)), actor="cli:ann")

    assert await owner.fetchval("select array_agg(kind) from incidents where state = 'open'") == ["sequence-gap"]


async def test_a_gap_is_given_up_for_the_lowest_waiting_number_only(worker: asyncpg.Pool, owner: asyncpg.Connection) -> None:
    for offset, sequence in ((5, 7), (6, 9)):
        await owner.execute(
            """insert into waiting_messages (group_name, topic, partition, "offset", tenant_id, source, aggregate, sequence,
                                             waiting_for, headers, timestamp)
               values ($1, $2, 0, $3, 'acme', 'casestream', 'acme|work_item|i1', $4, 3, '\\x', 0)""",
            GROUP, TOPIC, offset, sequence,
        )  # fmt: skip
    async with worker.acquire() as conn, conn.transaction():
        (gap,) = await find_gaps(conn, GROUP, TOPIC, "acme|work_item|i1")
        assert (gap["waiting_for"], gap["lowest"], gap["messages"]) == (3, 7, 2)
        assert await skip_gap(conn, GROUP, TOPIC, "acme|work_item|i1", actor="cli:ann", reason="lost upstream") == 1
        with pytest.raises(NotFound):
            await skip_gap(conn, GROUP, TOPIC, "acme|work_item|other", actor="cli:ann")

    assert await owner.fetchval("select array_agg(sequence) from waiting_messages where skip") == [7]
    assert await owner.fetchval("select action from audit_log") == "offsets.skip-gap"
