"""The guarded write on PostgreSQL: stale and duplicate snapshots change nothing, children go with their parents."""

import asyncio
import random
from typing import Any

import asyncpg
import pytest

from projections import ddl
from projections.cases.writing import CaseRow, write_rows
from projections.versions import set_state, tombstones_of
from tests.integration.database.conftest import Connect, connect
from tests.integration.database.test_tenants import foreign_rows_reached
from tests.integration.projections.tables import ITEMS, NAME, make_version, order_row, order_spec, sees, small_spec, tombstone

__all__ = ["connect"]

TABLE, CHILD = f"projections.{NAME}__v1", f"projections.{ITEMS}__v1"


async def ground(connect: Connect, *tenants: str) -> tuple[asyncpg.Connection, asyncpg.Connection]:
    """The owner, and a worker in a batch of these tenants, with version 1 of the order table."""
    owner, worker = await connect("migrate"), await connect("worker")
    await make_version(owner, order_spec())
    await sees(worker, *(tenants or ("acme",)))
    return owner, worker


async def everything(conn: asyncpg.Connection) -> list[Any]:
    rows = await conn.fetch(f"select * from {TABLE} order by 1, 2")
    return [*map(tuple, rows), *map(tuple, await conn.fetch(f"select * from {CHILD} order by 1, 2, 3"))]


async def skus(conn: asyncpg.Connection, case_id: str) -> list[str]:
    return [row[0] for row in await conn.fetch(f"select sku from {CHILD} where case_id = $1 order by position", case_id)]


@pytest.mark.requirement("CD-13", "trap-85", "trap-86")
async def test_a_newer_snapshot_replaces_the_row_and_its_children(connect: Connect) -> None:
    owner, worker = await ground(connect)
    assert await write_rows(worker, order_spec(), 1, [order_row("c1", 1, "a", "b", "c"), order_row("c2", 1, "x")]) == 2
    assert await write_rows(worker, order_spec(), 1, [order_row("c1", 2, "d")]) == 1
    assert await skus(owner, "c1") == ["d"]
    assert await skus(owner, "c2") == ["x"]
    assert await owner.fetchval(f"select snapshot_version from {TABLE} where case_id = 'c1'") == 2


@pytest.mark.requirement("CD-13", "trap-85", "trap-86")
@pytest.mark.hole("children-of-returned-parents")
async def test_a_stale_and_a_duplicate_snapshot_change_nothing_not_even_children(connect: Connect) -> None:
    owner, worker = await ground(connect)
    await write_rows(worker, order_spec(), 1, [order_row("c1", 3, "new")])
    before = await everything(owner)
    for stale in (order_row("c1", 2, "old", "older"), order_row("c1", 3, "twice"), order_row("c1", 1)):
        assert await write_rows(worker, order_spec(), 1, [stale]) == 0
    assert await everything(owner) == before


@pytest.mark.requirement("trap-85")
async def test_without_the_guard_a_stale_snapshot_would_win(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    from projections.cases.writing import Writer

    owner, worker = await ground(connect)
    writer = Writer(order_spec(), 1)
    writer._upsert = writer._upsert.replace("where excluded.snapshot_version > t.snapshot_version ", "")
    await writer.write(worker, [order_row("c1", 3, "new")])
    await writer.write(worker, [order_row("c1", 2, "old")])
    assert await skus(owner, "c1") == ["old"]


@pytest.mark.requirement("CD-13")
async def test_of_several_snapshots_in_one_batch_the_latest_stays(connect: Connect) -> None:
    owner, worker = await ground(connect)
    await write_rows(worker, order_spec(), 1, [order_row("c1", 2, "b"), order_row("c1", 3, "c"), order_row("c1", 1, "a")])
    assert await skus(owner, "c1") == ["c"]


@pytest.mark.requirement("CD-13")
async def test_a_removed_case_leaves_a_tombstone_that_readers_do_not_see(connect: Connect) -> None:
    owner, worker = await ground(connect)
    row = order_row("c1", 1, "a")
    await write_rows(worker, order_spec(), 1, [row])
    await write_rows(worker, order_spec(), 1, [tombstone(row, 2)])
    [found] = await owner.fetch(f"select * from {TABLE}")
    assert (found["tombstone"], found["snapshot_version"], found["subject_id"]) == ("removed", 2, "s-c1")
    assert set(tuple(found.values())[5:]) == {None}
    assert await skus(owner, "c1") == []
    assert await write_rows(worker, order_spec(), 1, [row]) == 0, "an older snapshot does not bring it back"


@pytest.mark.requirement("CD-13", "trap-80")
async def test_an_erased_subjects_rows_become_tombstones_in_every_version_with_a_table(connect: Connect) -> None:
    owner, worker = await ground(connect, "acme", "other")
    await make_version(owner, order_spec())
    rows = [order_row(f"c{n}", 1, "canary", customer_name="canary") for n in range(5)]
    mine = [CaseRow(r.tenant_id, r.case_id, 1, "s", r.values, r.children) for r in rows]
    theirs = order_row("c1", 1, "kept", tenant="other")
    for version in (1, 2):
        await write_rows(worker, order_spec(), version, [*mine, theirs, order_row("c9", 1, "kept")])
    made = []
    while done := await tombstones_of(worker, "acme", "s", most=2):
        made.append(done)
    assert made == [4, 4, 2]
    for version in (1, 2):
        text = str(await owner.fetch(f"select * from projections.{NAME}__v{version}"))
        assert "canary" not in text + str(await owner.fetch(f"select * from projections.{ITEMS}__v{version}"))
        erased = await owner.fetchval(f"select count(*) from projections.{NAME}__v{version} where tombstone = 'erased'")
        assert erased == 5
        assert await owner.fetchval(f"select count(*) from projections.{ITEMS}__v{version}") == 2


@pytest.mark.requirement("trap-80")
async def test_a_retired_version_whose_table_is_still_there_is_erased_too(connect: Connect) -> None:
    """Its table goes some seconds later, or when somebody has taken his view from it."""
    owner, worker = await ground(connect)
    await make_version(owner, order_spec())
    for version in (1, 2):
        await write_rows(worker, order_spec(), version, [order_row("c1", 1, "canary", customer_name="canary")])
        assert await set_state(owner, NAME, version, {"building"}, "retired")
    for statement in ddl.retire_statements(order_spec(), 1):
        await owner.execute(statement)
    assert await tombstones_of(worker, "acme", "s-c1") == 1
    left = str(
        await owner.fetch(f"select * from projections.{NAME}__v2") + await owner.fetch(f"select * from projections.{ITEMS}__v2")
    )
    assert "canary" not in left


@pytest.mark.requirement("CD-13", "trap-85")
async def test_two_writers_that_meet_leave_the_latest_of_both_whatever_their_order(connect: Connect) -> None:
    """A store scan and the topic fill one table side by side, in batches of any cut."""
    owner, _ = await ground(connect)
    dice = random.Random(7)
    history = [order_row(f"c{case}", version, f"v{version}") for case in range(12) for version in range(1, 7)]

    async def write(rows: list[CaseRow]) -> None:
        conn = await connect("worker")
        await sees(conn, "acme")
        while rows:
            batch, rows = rows[:9], rows[9:]
            async with conn.transaction():
                await write_rows(conn, order_spec(), 1, batch)

    shuffled = dice.sample(history, len(history))
    await asyncio.gather(write(list(history)), write(shuffled), write(list(reversed(history))))
    found = await owner.fetch(f"select case_id, snapshot_version from {TABLE}")
    assert {tuple(row) for row in found} == {(f"c{case}", 6) for case in range(12)}
    assert {row[0] for row in await owner.fetch(f"select sku from {CHILD}")} == {"v6"}
    assert await owner.fetchval(f"select count(*) from {CHILD}") == 12


@pytest.mark.requirement("SP-8")
@pytest.mark.parametrize("role", ["api", "worker"])
async def test_no_verb_reaches_another_tenants_row_of_a_version(connect: Connect, role: str) -> None:
    owner, worker = await ground(connect, "t1", "t2")
    await write_rows(worker, order_spec(), 1, [order_row("c1", 1, "a", tenant=tenant) for tenant in ("t1", "t2")])
    conn = await connect(role)  # type: ignore[arg-type]
    await conn.execute(
        "select set_config($1, $2, false)", *{"api": ("app.tenant", "t1"), "worker": ("app.tenants", "{t1}")}[role]
    )
    for table in (TABLE, CHILD):
        assert await foreign_rows_reached(conn, owner, table) == []
        assert await conn.fetchval(f"select array_agg(distinct tenant_id) from {table}") == ["t1"]


@pytest.mark.requirement("CD-3")
async def test_a_row_of_every_type_is_written_as_it_is(connect: Connect) -> None:
    from datetime import UTC, date, datetime
    from decimal import Decimal
    from uuid import UUID

    owner, worker = await connect("migrate"), await connect("worker")
    types = "text integer bigint numeric numeric(40,10) boolean date timestamptz uuid jsonb".split()
    spec = small_spec(*(f"c{at}:{kind}" for at, kind in enumerate(types)))
    await make_version(owner, spec)
    await sees(worker, "acme")
    values = (
        "tê'n\"\\",
        -(2**31),
        2**63 - 1,
        Decimal("1E+400"),
        Decimal("123456789012345678901234567890.0123456789"),
        True,
        date(2026, 1, 2),
        datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        UUID(int=7),
        '{"a": [1.10, null, "x"]}',
    )
    await write_rows(
        worker, spec, 1, [CaseRow("acme", "c", 1, "s", values), CaseRow("acme", "d", 1, "s", (None,) * len(values))]
    )
    [found] = await owner.fetch("select * from projections.case_plain_small__v1 where case_id = 'c'")
    assert tuple(found.values())[5:] == values
