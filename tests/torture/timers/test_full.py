"""The full counts of timers: every zone with a clock change, and 100,000 timers due at once. The suite runs a part of each."""

import asyncio
import time
import zoneinfo
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from domain.timers.commands import arm
from domain.timers.timer import Fired, Timer
from runtime.postgres import tenants_transaction
from runtime.sql import Connection
from tests.infrastructure.databases import ClonedDatabase
from tests.torture.system.record import run_step
from tests.unit.timers.test_cron import FIXED, WILDCARD, YEARS, clock_changes, differences
from tests.waiting import until
from workers.timers import Scheduler

pytestmark = [pytest.mark.torture, pytest.mark.timeout(3600)]


@pytest.mark.requirement("trap-24")
async def test_every_zone_with_a_clock_change() -> None:
    """2024 to 2030, fixed and wildcard schedules, against tables built minute by minute: none missed, none doubled."""
    changes = {name: sum(1 for _ in clock_changes(ZoneInfo(name), *YEARS)) for name in sorted(zoneinfo.available_timezones())}
    names = [name for name, count in changes.items() if count]

    async def zones(count: int) -> dict[str, Any]:
        found: list[str] = []
        for name in names[:count]:
            found += await asyncio.to_thread(differences, name, YEARS, (*FIXED, *WILDCARD))
        return {"zones": count, "changes": sum(changes[name] for name in names[:count]), "differences": found[:20]}

    def none(figures: Any) -> None:
        assert figures["differences"] == []

    await run_step("timers: zones with a clock change", len(names), zones, none)


@pytest.mark.requirement("trap-25")
async def test_a_hundred_thousand_due_at_once(database: ClonedDatabase) -> None:
    """Two schedulers, ten tenants: each timer fires once, and a look at an idle table stays cheap."""

    async def note(conn: Connection, due: Sequence[Timer], _now: datetime) -> Sequence[Fired]:
        await conn.execute("insert into noted select unnest($1::text[])", [timer.key for timer in due])
        return []

    async def fire(count: int) -> dict[str, Any]:
        async with (
            asyncpg.create_pool(database.url("scan"), min_size=1, max_size=3) as scan,
            asyncpg.create_pool(database.url("worker"), min_size=1, max_size=4) as worker,
            asyncpg.create_pool(database.url("superuser"), min_size=1, max_size=2) as owner,
        ):
            await owner.execute("create table noted (timer_key text); grant insert on noted to cs_worker")
            past = datetime(2020, 1, 1, tzinfo=UTC)
            for start in range(0, count, 5_000):
                tenant = f"t{start // 5_000 % 10}"
                page = [Timer(tenant, f"k{number}", "note", past) for number in range(start, min(start + 5_000, count))]
                async with tenants_transaction(worker, [tenant]) as conn:
                    await arm(conn, page)
            stop, began = asyncio.Event(), time.monotonic()
            schedulers = [Scheduler(scan, worker, {"note": note}) for _ in range(2)]
            running = [asyncio.create_task(one.run(stop, 0.001, 0.01)) for one in schedulers]
            gone = "select not exists (select from timers where state = 'armed')"
            await until(lambda: owner.fetchval(gone), 600, what="all timers")
            seconds = time.monotonic() - began
            stop.set()
            await asyncio.gather(*running)
            looks = []
            for _ in range(5):
                looked = time.monotonic()
                await schedulers[0].round(asyncio.Event())
                looks.append((time.monotonic() - looked) * 1000)
            row = await owner.fetchrow("select count(*) as fired, count(distinct timer_key) as keys from noted")
            assert row is not None
            return {
                "fired": row["fired"],
                "keys": row["keys"],
                "seconds": round(seconds, 2),
                # The first one passes over what has just died in the index, and marks it.
                "first_look_ms": round(looks[0], 2),
                "idle_look_ms": round(min(looks), 2),
                "wanted": count,
            }

    def once_each(figures: Any) -> None:
        assert figures["fired"] == figures["keys"] == figures["wanted"]
        assert figures["idle_look_ms"] < 50

    await run_step("timers: due at once", 100_000, fire, once_each)
