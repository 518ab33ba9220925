"""The full counts of rebuilds: `make torture ARGS="-k rebuild"`. The suite runs each once (tests/e2e/rebuild).

A step that has run in full is skipped; its line is in benchmarks/results.
"""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rebuild.machines import machines
from tests.e2e.rebuild.test_kills import STEPS, is_ready, serves
from tests.e2e.rebuild.test_rebuild import history
from tests.e2e.rebuild.test_trouble import switches_under_readers
from tests.e2e.rebuild.world import FIRST, SECOND, TABLE, World, running_world
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.torture.system.record import run_step
from tests.waiting import until

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200)]


@pytest.mark.requirement("CD-13")
async def test_a_hundred_switches_under_readers(
    database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka, tmp_path: Path
) -> None:
    async def switch(count: int) -> dict[str, Any]:
        async with running_world(database, keys_database, fresh_kafka, tmp_path) as world:
            seen = await switches_under_readers(world, count)
        return {"switches": count, "errors": sum(number for kind, number in seen.items() if kind.startswith("error"))} | seen

    def sound(figures: dict[str, Any]) -> None:
        assert set(figures) == {"switches", "errors", "rows", "reads"}, figures
        assert figures["errors"] == 0

    await run_step("rebuild: switches under readers in a loop", 100, switch, sound)


@pytest.mark.requirement("CD-13")
@pytest.mark.hole("rebuild-resumes")
async def test_rebuilds_killed_at_every_step(
    database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka, tmp_path: Path
) -> None:
    async def kill(rounds: int) -> dict[str, Any]:
        kills = rows = 0
        async with running_world(database, keys_database, fresh_kafka, tmp_path) as world, machines(world.environ) as fleet:
            first = fleet.start()
            await until(lambda: serves(world, 1), 60, "version 1")
            first.end()
            for number in range(rounds):
                await history(world, random.Random(number), 20, 60)
                rebuild = await world.order("store")
                for step in STEPS:
                    await fleet.start(step).killed_itself()
                    kills += 1
                last = fleet.start()
                await until(lambda rebuild=rebuild: is_ready(world, rebuild), 120, "the rebuild")  # type: ignore[misc]
                await until(lambda: _settled(world), 60, "equal rows")
                rows = len(await world.rows(1))
                last.end()
        return {"rebuilds": rounds, "kills": kills, "rows": rows}

    await run_step("rebuild: kill at each step", 10, kill, lambda figures: None)


async def _settled(world: World) -> bool:
    """Every version that was built has the rows and child rows of the first one."""
    versions = [row["version"] for row in await world.look("select version from projection_versions where name = $1", TABLE)]
    rows, children = await world.rows(1), await world.children(1)
    total = (await world.look("select count(distinct (tenant_id, case_id)) as n from sys_case_data_store"))[0]["n"]
    same = [await world.rows(one) == rows and await world.children(one) == children for one in versions]
    return len(rows) == total and all(same)


@pytest.mark.requirement("CD-13", "trap-85", "trap-88")
async def test_random_histories_from_both_sources(
    database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka, tmp_path: Path
) -> None:
    """P6: after each stretch of history a re-mapped version from one source and the other; all equal, row for row."""

    async def replay(rounds: int) -> dict[str, Any]:
        compared = 0
        async with running_world(database, keys_database, fresh_kafka, tmp_path) as world:
            await world.serve_first()
            count, dice = 0, random.Random(2026)
            for number in range(rounds):
                world.spec = (SECOND, FIRST)[number % 2]
                count += await history(world, dice, 15, 40)
                ready = await world.until_state(await world.order(("topic", "store")[number % 2]), "ready", seconds=120)
                await world.applied(1, count)
                await until(lambda version=ready["version"]: _equal(world, version), 60, "equal rows")  # type: ignore[misc]
                order = await world.verify(ready["version"])
                assert order["verdict"] == "equal", order["report"]
                compared += len(await world.rows(1))
        return {"rebuilds": rounds, "snapshots": count, "rows_compared": compared}

    await run_step("rebuild: random histories, both sources, re-mapped", 30, replay, lambda figures: None)


async def _equal(world: World, version: int) -> bool:
    """Equal in the columns that both versions have."""
    first, other = await world.rows(1), await world.rows(version)
    shared = set(first[0]) & set(other[0]) if first and other else set()
    return [{name: row[name] for name in shared} for row in first] == [
        {name: row[name] for name in shared} for row in other
    ] and await world.children(1) == await world.children(version)
