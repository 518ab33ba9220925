"""A rebuild from either source gives what the live table has, and the view moves to it (CD-13, P6)."""

import asyncio
import random

import pytest

from domain.rebuilds import commands
from runtime.kafka import admin
from schemas.errors import Rejected
from tests.e2e.rebuild.world import OPERATOR, SECOND, TABLE, World
from tests.waiting import until


async def history(world: World, dice: random.Random, cases: int, steps: int) -> int:
    """Random snapshots and removals of both tenants; how many."""
    alive: dict[tuple[str, str], bool] = {}
    for number in range(steps):
        tenant, case_id = dice.choice(("north", "south")), f"c{dice.randrange(cases)}"
        if alive.get((tenant, case_id)) and dice.random() < 0.15:
            await world.remove(case_id, tenant)
            alive[tenant, case_id] = False
        else:
            await world.store(case_id, number, tenant, items=dice.randrange(4))
            alive[tenant, case_id] = True
    return steps


@pytest.mark.requirement("CD-13", "trap-85", "trap-88")
@pytest.mark.hole("version-is-a-consumer")
async def test_live_table_and_rebuilds_from_topic_and_from_store_are_equal_row_for_row(world: World) -> None:
    dice = random.Random(7)
    await world.serve_first()
    count = await history(world, dice, 12, 60)
    await world.applied(1, count)

    by_topic = await world.order("topic")
    await world.until_state(by_topic, "ready")
    by_store = await world.order("store")
    await world.until_state(by_store, "ready")
    count += await history(world, dice, 12, 20)
    for version in (1, 2, 3):
        await world.applied(version, count if version < 3 else 0)
    for version in (2, 3):
        order = await world.verify(version)
        assert (order["state"], order["verdict"]) == ("done", "equal"), (order["message"], order["report"])

    live, children = await world.rows(1), await world.children(1)
    assert len(live) > 10
    assert any(row["tombstone"] == "removed" for row in live)
    for version in (2, 3):
        assert await world.rows(version) == live
        assert await world.children(version) == children


@pytest.mark.requirement("CD-13", "trap-85")
@pytest.mark.parametrize("source", ["topic", "store"])
async def test_a_rebuild_goes_on_while_snapshots_arrive_and_loses_none(world: World, source: str) -> None:
    await world.serve_first()
    count = await history(world, random.Random(31), 10, 40)
    await world.applied(1, count)
    stop = asyncio.Event()
    stored = 0

    async def live() -> None:
        nonlocal stored
        while not stop.is_set():
            await world.store(f"c{stored % 12}", 500 + stored, ("north", "south")[stored % 2])
            stored += 1

    living = asyncio.create_task(live())
    try:
        ready = await world.until_state(await world.order(source), "ready")
    finally:
        stop.set()
        await living
    assert stored > 10
    await world.applied(1, count + stored)
    await until(lambda: equal(world, ready["version"]), what="equal rows and child rows")


async def left_on_the_broker(world: World, group: str) -> list[str]:
    """What bears the group's name: itself, and its dead letter topics."""
    client = admin(world.settings)
    await client.start()
    try:
        names = [*(name for name, *_ in await client.list_consumer_groups()), *await client.list_topics()]
        return [name for name in names if name.startswith(world.kafka.prefix) and group in name]
    finally:
        await client.close()


async def equal(world: World, version: int) -> bool:
    return await world.rows(version) == await world.rows(1) and await world.children(version) == await world.children(1)


@pytest.mark.requirement("CD-13")
async def test_a_new_column_arrives_by_rebuild_verify_switch_and_leaves_by_switching_back(world: World) -> None:
    await world.serve_first()
    count = await history(world, random.Random(3), 8, 30)
    await world.applied(1, count)
    world.spec = SECOND

    ready = await world.until_state(await world.order("store"), "ready")
    assert ready["version"] == 2
    async with world.worker.acquire() as conn:
        early = await commands.order_switch(conn, OPERATOR, TABLE, 2)
    assert isinstance(early, Rejected)
    assert early.code == "ParityMissing"

    order = await world.verify(2)
    assert order["verdict"] == "equal", order["report"]
    switched = await world.carry_out(lambda conn: commands.order_switch(conn, OPERATOR, TABLE, 2))
    assert switched["state"] == "done", switched["message"]
    shown = await world.look(f"select region from analytics.{TABLE}")
    assert any(row["region"] is not None for row in shown)
    states = await world.look("select version, state from projection_versions where name = $1 order by 1", TABLE)
    assert [row["state"] for row in states] == ["standby", "serving"]

    back = await world.carry_out(lambda conn: commands.order_switch_back(conn, OPERATOR, TABLE))
    assert (back["state"], back["version"]) == ("done", 1), back["message"]
    retired = await world.carry_out(lambda conn: commands.order_retire(conn, OPERATOR, TABLE, 2))
    assert retired["state"] == "done", retired["message"]
    assert retired["message"] == "version 2 is gone"
    assert await left_on_the_broker(world, "projections.case_plain_order_case.v2") == []
    assert await left_on_the_broker(world, "projections.case_plain_order_case.v1") != []
    assert await world.look("select to_regclass('projections.case_plain_order_case__v2') as t") == [{"t": None}]
    assert not await world.look("select from consumer_offsets where group_name = 'projections.case_plain_order_case.v2'")
    audited = {row["action"] for row in await world.look("select action from audit_log")}
    assert {"rebuild.order", "projection.verify", "projection.switch", "projection.switch-back", "projection.retire"} <= audited


@pytest.mark.requirement("CD-13")
async def test_a_second_order_names_the_first_and_a_cancelled_one_leaves_nothing(world: World) -> None:
    await world.serve_first()
    await history(world, random.Random(1), 3, 6)
    first = await world.order("topic")
    async with world.worker.acquire() as conn:
        second = await commands.order_rebuild(conn, OPERATOR, commands.Wish(TABLE, "store"))
    assert isinstance(second, Rejected)
    assert second.code == "RebuildRunning"
    assert str(first) in second.message

    await world.until_state(first, "catching-up", "ready")
    async with world.worker.acquire() as conn, conn.transaction():
        cancelled = await commands.cancel_rebuild(conn, OPERATOR, first)
    if isinstance(cancelled, Rejected):
        return  # it was ready first: then it is retired, not cancelled
    (row,) = await world.look("select order_id from projection_orders where kind = 'retire'")
    async with asyncio.timeout(90):
        while (await world.look("select state from projection_orders where order_id = $1", row["order_id"]))[0][
            "state"
        ] != "done":
            await world.clerk.next()
            await world.ddl()
            await world.follow()
    assert await world.look("select to_regclass('projections.case_plain_order_case__v2') as t") == [{"t": None}]
    assert len(await world.rows(1)) == len(await world.look(f"select from projections.{TABLE}__v1"))
