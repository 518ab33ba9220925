"""kill -9 of whatever rebuilds, compares, switches or retires, at every step: the next process goes on (P5, P6)."""

import random
from typing import Any
from uuid import UUID

import pytest

from domain.rebuilds import commands
from tests.e2e.rebuild.machines import Machines, machines
from tests.e2e.rebuild.test_rebuild import history
from tests.e2e.rebuild.world import OPERATOR, TABLE, World
from tests.waiting import until

STEPS = [
    "rebuild.before-plan",
    "rebuild.after-plan",
    "rebuild.after-note",
    "rebuild.after-prepare",
    "rebuild.after-order",
    "rebuild.after-begin",
    "scan.after-lease",
    "scan.before-cursor",
    "scan.before-commit",
    "scan.after-commit",
    "rebuild.after-scan",
    "rebuild.before-ready",
]
COMPARING = ["orders.after-claim", "parity.after-note", "parity.in-snapshot"]
SWITCHING = ["orders.after-claim", "orders.after-order"]
RETIRING = ["orders.after-retire", "orders.after-order", "orders.after-drop"]


async def serves(world: World, version: int) -> bool:
    rows = await world.look("select serving_version from projection_tables where name = $1", TABLE)
    return bool(rows and rows[0]["serving_version"] == version)


async def passed(world: World, version: int, count: int) -> bool:
    group = f"projections.{TABLE}.v{version}"
    rows = await world.look("select coalesce(sum(next), 0)::int as n from consumer_offsets where group_name = $1", group)
    return bool(rows[0]["n"] >= count)


async def ended(world: World, order: dict[str, Any]) -> dict[str, Any]:
    async def over() -> bool:
        return (await world.look("select state from projection_orders where order_id = $1", order["order_id"]))[0][
            "state"
        ] not in (
            "ordered",
            "running",
        )

    await until(over, 60, "the order's end")
    return (await world.look("select * from projection_orders where order_id = $1", order["order_id"]))[0]


async def give(world: World, wish: Any) -> dict[str, Any]:
    async with world.worker.acquire() as conn, conn.transaction():
        return dict(await wish(conn))


async def killed_at(step: str, world: World, fleet: Machines) -> None:
    """A machine that dies at the step. Its leases end at once: the next test waits for one, the full run for all of them."""
    await fleet.start(step).killed_itself()
    await world.owner.execute("update rebuild_slices set expires_at = '-infinity'")
    await world.owner.execute("update projection_orders set expires_at = '-infinity'")
    # The world's own relay is in this table too.
    await world.owner.execute("update leases set expires_at = '-infinity' where name not like 'relay/%'")


@pytest.mark.requirement("CD-13")
@pytest.mark.hole("rebuild-resumes")
async def test_a_rebuild_killed_at_every_step_ends_with_the_rows_of_the_live_table(world: World) -> None:
    async with machines(world.environ) as fleet:
        first = fleet.start()
        await until(lambda: serves(world, 1), 60, "version 1")
        count = await history(world, random.Random(11), 12, 60)
        await until(lambda: passed(world, 1, count), 60, "version 1 to read")
        first.end()
        rebuild: UUID = await world.order("store")
        for step in STEPS:
            await killed_at(step, world, fleet)
        last = fleet.start()
        await until(lambda: is_ready(world, rebuild), 90, "the rebuild to be ready")

        count += await history(world, random.Random(12), 12, 20)
        await until(lambda: passed(world, 1, count), 60, "version 1 to read")
        await until(lambda: same_rows(world), what="version 2 to have the rows of version 1")
        assert await world.children(2) == await world.children(1)
        last.end()

        verify = await give(world, lambda conn: commands.order_verify(conn, OPERATOR, TABLE, 2))
        for step in COMPARING:
            await killed_at(step, world, fleet)
        last = fleet.start()
        assert (await ended(world, verify))["verdict"] == "equal"
        last.end()

        switch = await give(world, lambda conn: commands.order_switch(conn, OPERATOR, TABLE, 2))
        for step in SWITCHING:
            await killed_at(step, world, fleet)
        last = fleet.start()
        assert (await ended(world, switch))["state"] == "done"
        assert await serves(world, 2)
        last.end()

        retire = await give(world, lambda conn: commands.order_retire(conn, OPERATOR, TABLE, 1))
        for step in RETIRING:
            await killed_at(step, world, fleet)
        fleet.start()
        assert (await ended(world, retire))["state"] == "done"
        assert await world.look(f"select to_regclass('projections.{TABLE}__v1') as t") == [{"t": None}]


async def is_ready(world: World, rebuild: UUID) -> bool:
    row = await world.rebuild(rebuild)
    assert row["state"] not in ("failed", "refused", "paused"), row
    return bool(row["state"] == "ready")


async def same_rows(world: World) -> bool:
    return await world.rows(1) == await world.rows(2)


@pytest.mark.requirement("CD-13", "SP-7")
async def test_several_processes_share_the_slices_and_one_killed_is_not_missed(world: World) -> None:
    async with machines(world.environ) as fleet:
        first = fleet.start()
        await until(lambda: serves(world, 1), 60, "version 1")
        count = await history(world, random.Random(13), 30, 120)
        await until(lambda: passed(world, 1, count), 60, "version 1 to read")
        # Slow enough that the kill falls into it.
        rebuild = await world.order("store", rate=40, workers=4)
        others = [fleet.start() for _ in range(2)]
        await until(lambda: has_scanned(world, rebuild, 20), 60, "the scan")
        others[0].kill()
        first.kill()
        await until(lambda: is_ready(world, rebuild), 90, "the rebuild to be ready")
        await until(lambda: same_rows(world), 60, "equal rows")


async def has_scanned(world: World, rebuild: UUID, count: int) -> bool:
    rows = await world.look("select coalesce(sum(scanned), 0)::int as n from rebuild_slices where rebuild_id = $1", rebuild)
    return bool(rows[0]["n"] >= count)
