"""Poison, bugs, a full database, readers in a loop, and a snapshot stored at the worst moment."""

import asyncio
import random
import time
from dataclasses import replace
from functools import partial
from typing import Any

import asyncpg
import pytest

from domain.rebuilds import commands
from projections.cases.projector import CaseProjector
from projections.rebuild.conductor import Conductor
from projections.versions import TableVersion
from tests.e2e.rebuild.test_rebuild import history
from tests.e2e.rebuild.world import FIRST, OPERATOR, SECOND, TABLE, World, fed
from tests.waiting import until


@pytest.mark.requirement("CD-13", "trap-88")
@pytest.mark.hole("note-ends-before-scan")
async def test_a_snapshot_stored_between_noting_and_scanning_is_in_the_table(world: World) -> None:
    """The other order would lose it: it lies before the noted ends and behind the last number of the scan."""
    await world.serve_first()
    await world.applied(1, await history(world, random.Random(1), 4, 8))
    sent: list[int] = []

    class Late(Conductor):
        async def _tenants(self, row: Any) -> list[str]:
            # Between the two notes: stored, published, read by the serving version.
            if not sent:
                sent.append(1)
                await world.store("late", 1)
                await world.applied(1, 9)
            return await super()._tenants(row)

    world.conductor = Late(world.settings, world.scan, world.worker, world._find_table)
    await world.until_state(await world.order("store"), "ready")
    assert sent
    assert [row for row in await world.rows(2) if row["case_id"] == "late"]
    (noted,) = await world.look("select sum(noted)::int as n from rebuild_offsets")
    assert noted["n"] == 8, "its event lies behind the noted ends, so the group reads it even if the scan does not"
    assert await world.rows(2) == await world.rows(1)


@pytest.mark.requirement("CD-13", "trap-85")
async def test_poison_pauses_the_rebuild_and_a_resumed_one_tries_again(world: World) -> None:
    await world.serve_first()
    count = await history(world, random.Random(6), 6, 20)
    await world.store("bad", 1)
    await world.applied(1, count + 1)
    await world.owner.execute("alter table sys_case_data_store disable trigger sys_case_data_store_append_only")
    good = await world.owner.fetchval("select snapshot from sys_case_data_store where case_id = 'bad'")
    await world.owner.execute("update sys_case_data_store set snapshot = $1 where case_id = 'bad'", good[:-1] + b"?")

    rebuild = await world.order("store")
    paused = await world.until_state(rebuild, "paused")
    assert "1 of" in paused["message"]
    (incident,) = await world.look("select summary, cure from incidents where kind = 'rebuild-paused' and state = 'open'")
    assert "resume" in incident["cure"]
    assert await world.look("select reason from rebuild_parked") == [{"reason": "decryption-failed"}]

    await world.owner.execute("update sys_case_data_store set snapshot = $1 where case_id = 'bad'", good)
    async with world.worker.acquire() as conn, conn.transaction():
        await commands.resume_rebuild(conn, OPERATOR, rebuild)
    await world.until_state(rebuild, "ready")
    assert await world.rows(2) == await world.rows(1)
    assert not await world.look("select from rebuild_parked")
    assert not await world.look("select from incidents where kind = 'rebuild-paused' and state = 'open'")


class Broken(CaseProjector):
    """A bug that was planted in a new version."""

    def decide(self, state: Any, message: Any, now: Any) -> Any:
        raise RuntimeError("planted")


@pytest.mark.requirement("CD-13")
@pytest.mark.hole("version-is-a-consumer")
async def test_a_bug_in_the_new_version_leaves_the_old_ones_lag_flat(world: World) -> None:
    await world.serve_first()
    count = await history(world, random.Random(8), 6, 20)
    await world.applied(1, count)

    def made(version: TableVersion) -> Any:
        if version.version == 1:
            return None
        return Broken(FIRST, version.version, world.ring)

    world.projector = made
    rebuild = await world.order("topic")
    paused = await world.until_state(rebuild, "paused")
    assert "could not be applied" in paused["message"]
    took = []
    for number in range(30):
        began = time.monotonic()
        await world.store("fresh", number)
        count += 1
        await until(partial(shows, world, "fresh", number + 1), what="the live row")
        took.append(time.monotonic() - began)
    # The median: one row may meet whatever else the machine does, and a lag would be every row's.
    assert sorted(took)[len(took) // 2] < 3.0, took
    assert not await world.look("select from parked_messages where group_name = 'projections.case_plain_order_case.v1'")


async def shows(world: World, case_id: str, version: int) -> bool:
    rows = await world.look(f"select snapshot_version from projections.{TABLE}__v1 where case_id = $1", case_id)
    return bool(rows and rows[0]["snapshot_version"] == version)


@pytest.mark.requirement("CD-13")
async def test_a_full_database_stops_the_rebuild_and_nothing_else_and_it_goes_on_when_there_is_room(world: World) -> None:
    await world.serve_first()
    count = await history(world, random.Random(9), 6, 20)
    await world.applied(1, count)
    rebuild = await world.order("store")
    async with asyncio.timeout(90):
        while not await world.look(f"select 1 where to_regclass('projections.{TABLE}__v2') is not null"):
            await world.round()
    await world.owner.execute(
        "create function full_disk() returns trigger language plpgsql as $$ begin"
        " raise exception 'could not extend file' using errcode = 'disk_full'; end $$;"
        f" create trigger no_room before insert on projections.{TABLE}__v2 for each statement execute function full_disk()"
    )
    scanner, stop = world.scanner("full"), asyncio.Event()
    scanning = asyncio.create_task(scanner.run(stop))
    try:
        await world.store("fresh", 1)
        await until(lambda: shows(world, "fresh", 1), what="the live row, although the new table has no room")
        async with asyncio.timeout(90):
            while "DiskFull" not in (await world.rebuild(rebuild))["message"]:
                await world.round()
    finally:
        stop.set()
        await scanning
    assert not await world.rows(2)
    await world.owner.execute(f"drop trigger no_room on projections.{TABLE}__v2")
    await world.until_state(rebuild, "ready")
    await world.applied(2, 0)
    assert await world.rows(2) == await world.rows(1)


WIDE = replace(
    FIRST,
    columns=tuple(replace(column, type="text") if column.name == "total" else column for column in FIRST.columns),
    feeds={"com.app.OrderCase": (*FIRST.feeds["com.app.OrderCase"][:2], fed("state", "$.state"))},
)


async def read_in_a_loop(world: World, stop: asyncio.Event, seen: dict[str, int]) -> None:
    """An analyst's query again and again; an error or a mixture of two versions in one answer is counted."""
    conn = await asyncpg.connect(world.database.url("migrate"))
    try:
        while not stop.is_set():
            try:
                rows = await conn.fetch(
                    f"select pg_typeof(total)::text as kind, total, tenant_id, case_id from analytics.{TABLE}"
                )
            except asyncpg.PostgresError as error:
                seen[f"error {type(error).__name__}"] = seen.get(f"error {type(error).__name__}", 0) + 1
                continue
            seen["reads"] = seen.get("reads", 0) + 1
            if len({row["kind"] for row in rows}) > 1:
                seen["mixed"] = seen.get("mixed", 0) + 1
            if len(rows) != seen["rows"]:
                seen["partial"] = seen.get("partial", 0) + 1
            await asyncio.sleep(0)
    finally:
        await conn.close()


async def switches_under_readers(world: World, times: int) -> dict[str, int]:
    """Version 2 has a column of another type, so the view is dropped and made anew, back and forth."""
    await world.serve_first()
    count = 12
    for number in range(count):
        await world.store(f"c{number}", number)
    await world.applied(1, count)
    world.spec = WIDE
    await world.until_state(await world.order("store"), "ready")
    await world.applied(2, 0)
    await until(lambda: has_rows(world, 2, count), what="the rows of version 2")
    seen, stop = {"rows": count}, asyncio.Event()
    reading = [asyncio.create_task(read_in_a_loop(world, stop, seen)) for _ in range(2)]
    try:
        for number in range(times):
            version = 2 if number % 2 == 0 else 1

            async def wish(conn: Any, version: int = version) -> Any:
                return await commands.order_switch(conn, OPERATOR, TABLE, version, "a test")

            order = await world.carry_out(wish)
            assert order["state"] == "done", order["message"]
    finally:
        stop.set()
        await asyncio.gather(*reading)
    return seen


async def has_rows(world: World, version: int, count: int) -> bool:
    return len(await world.rows(version)) == count


@pytest.mark.requirement("CD-13")
@pytest.mark.hole("switch-in-one-transaction")
async def test_readers_see_no_error_and_no_mixture_through_switches(world: World) -> None:
    seen = await switches_under_readers(world, 6)
    assert seen["reads"] > 20
    assert set(seen) == {"rows", "reads"}, seen


@pytest.mark.requirement("CD-13")
@pytest.mark.hole("switch-in-one-transaction")
async def test_a_switch_that_would_break_somebodys_view_is_refused_with_its_name(world: World) -> None:
    await world.serve_first()
    await world.store("c1", 1)
    await world.applied(1, 1)
    await world.owner.execute(f"create view analytics.monthly as select sum(total) from analytics.{TABLE}")
    world.spec = WIDE
    await world.until_state(await world.order("store"), "ready")
    order = await world.carry_out(lambda conn: commands.order_switch(conn, OPERATOR, TABLE, 2, "a test"))
    assert order["state"] == "refused"
    assert "monthly" in order["message"]
    world.spec = SECOND
    await world.until_state(await world.order("store"), "ready")
    order = await world.carry_out(lambda conn: commands.order_switch(conn, OPERATOR, TABLE, 3, "compatible"))
    assert order["state"] == "done", order["message"]
