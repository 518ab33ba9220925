"""What a comparison finds: each kind of difference, and none where only the tail is on its way (P6)."""

import asyncio
import random
from collections.abc import Sequence

import asyncpg
import pytest

from domain.rebuilds import commands
from projections.rebuild.parity import without_time_limits
from tests.e2e.rebuild.test_rebuild import history
from tests.e2e.rebuild.world import OPERATOR, SECOND, TABLE, World

V2, ITEMS2 = f"projections.{TABLE}__v2", f"projections.{TABLE}_items__v2"
ONE = "where (tenant_id, case_id) = (select tenant_id, case_id from {table} where tombstone is null order by 1, 2 limit 1)"
DAMAGES = [
    ("another value", f"update {V2} set total = total + 1 {ONE.format(table=V2)}", "gave other values"),
    ("an older row", f"update {V2} set snapshot_version = snapshot_version - 1 {ONE.format(table=V2)}", "older snapshot"),
    ("no row", f"delete from {V2} {ONE.format(table=V2)}", "has no row"),
    ("a tombstone", f"update {V2} set tombstone = 'removed', total = null {ONE.format(table=V2)}", "tombstone"),
    ("a child row less", f"delete from {ITEMS2} where ctid = (select min(ctid) from {ITEMS2})", "differ"),
    (
        "a child row moved",
        f"update {ITEMS2} set position = position + 100 where ctid = (select min(ctid) from {ITEMS2})",
        "differ",
    ),
    (
        "an orphan",
        f"insert into {ITEMS2} (tenant_id, case_id, position) values ('north', 'nobody', 0)",
        "without a parent",
    ),
]


async def two_versions(world: World) -> int:
    await world.serve_first()
    count = await history(world, random.Random(5), 10, 40)
    await world.applied(1, count)
    await world.until_state(await world.order("topic"), "ready")
    return count


@pytest.mark.requirement("CD-13")
@pytest.mark.hole("parity-by-ends")
async def test_every_planted_difference_is_found_by_both_comparisons_and_named(world: World) -> None:
    await two_versions(world)
    assert (await world.verify(2))["verdict"] == "equal"
    assert (await world.verify(2, whole=True))["verdict"] == "equal"
    for _, statement, said in DAMAGES:
        before = [await world.look(f"select * from {table}") for table in (V2, ITEMS2)]
        await world.owner.execute(statement)
        order = await world.verify(2)
        assert order["verdict"] == "different", statement
        assert said in order["report"], (statement, order["report"])
        whole = await world.verify(2, whole=True)
        if "orphan" not in said and "without" not in said:
            assert whole["verdict"] == "different", (statement, whole["report"])
        await restore(world, before)
    assert (await world.verify(2))["verdict"] == "equal"
    kinds = {row["kind"] for row in await world.look("select kind from incidents")}
    assert "parity-failed" in kinds


async def restore(world: World, before: Sequence[list[dict[str, object]]]) -> None:
    for table, rows in zip((V2, ITEMS2), before, strict=True):
        await world.owner.execute(f"delete from {table}")
        await world.owner.executemany(
            f"insert into {table} values ({', '.join(f'${n}' for n in range(1, len(rows[0]) + 1))})",
            [tuple(row.values()) for row in rows],
        )


@pytest.mark.requirement("CD-13", "trap-85")
@pytest.mark.hole("parity-by-ends")
async def test_a_table_under_load_is_equal_though_one_version_is_always_a_little_ahead(world: World) -> None:
    await two_versions(world)
    stop = asyncio.Event()

    async def load() -> None:
        number = 1000
        while not stop.is_set():
            await world.store(f"c{number % 10}", number)
            number += 1

    loading = asyncio.create_task(load())
    try:
        orders = [await world.verify(2) for _ in range(4)]
    finally:
        stop.set()
        await loading
    assert [order["verdict"] for order in orders] == ["equal"] * 4, [order["report"] for order in orders]


@pytest.mark.requirement("CD-13")
async def test_a_new_column_is_left_out_and_a_changed_one_too_and_said(world: World) -> None:
    await world.serve_first()
    await world.applied(1, await history(world, random.Random(2), 5, 15))
    world.spec = SECOND
    await world.until_state(await world.order("topic"), "ready")
    order = await world.verify(2)
    assert order["verdict"] == "equal"
    assert '"region": "a new column"' in order["report"]


@pytest.mark.requirement("CD-13")
async def test_a_trial_has_one_tenants_rows_is_compared_and_never_shown(world: World) -> None:
    await world.serve_first()
    await world.applied(1, await history(world, random.Random(4), 8, 30))
    ready = await world.until_state(await world.order("store", trial_tenant="north"), "ready")
    version = ready["version"]
    assert {row["tenant_id"] for row in await world.rows(version)} == {"north"}
    assert (await world.verify(version))["verdict"] == "equal"
    async with world.worker.acquire() as conn:
        refused = await commands.order_switch(conn, OPERATOR, TABLE, version, "we want it")
    assert getattr(refused, "code", None) == "TrialVersion"
    assert "every other tenant" in getattr(refused, "message", "")


@pytest.mark.hole("parity-time-limits")
async def test_time_limits_are_off_for_the_reading_transaction_alone(world: World) -> None:
    limits = "select current_setting('statement_timeout') || ' ' || current_setting('transaction_timeout')"
    async with world.worker.acquire() as conn:
        async with conn.transaction(isolation="repeatable_read", readonly=True):
            await without_time_limits(conn, ["north"])
            assert await conn.fetchval(limits) == "0 0"
            assert await conn.fetchval("select pg_current_xact_id_if_assigned()") is None, "it stops no relay's floor"
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await conn.execute("update rebuilds set message = ''")
        assert await conn.fetchval(limits) == "5s 8s"
        async with conn.transaction():
            with pytest.raises(AssertionError):
                await without_time_limits(conn, ["north"])


@pytest.mark.hole("parity-time-limits")
async def test_the_snapshot_outlives_the_roles_limits(world: World) -> None:
    """Nine seconds in one transaction: longer than any limit of cs_worker."""
    async with world.worker.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        await without_time_limits(conn, ["north"])
        await conn.execute("select pg_sleep(8.5)", timeout=20)
        assert await conn.fetchval("select 1") == 1
