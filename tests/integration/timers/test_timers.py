"""Timers on a real database: once, by its clock, with several schedulers, for the entry they belong to."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from domain.timers.commands import arm, disarm, fire
from domain.timers.cron import next_fire
from domain.timers.purge import purge_timers
from domain.timers.timer import Fired, Timer
from runtime.postgres import tenants_transaction
from runtime.sql import Connection
from tests.infrastructure.databases import ClonedDatabase
from tests.waiting import until
from workers.timers import Scheduler

NOW = datetime.now(UTC)
PAST, FUTURE = NOW - timedelta(hours=1), NOW + timedelta(hours=1)


class House:
    """Pools, and a handler that keeps what fires in a table without a unique key."""

    def __init__(self, scan: asyncpg.Pool, worker: asyncpg.Pool, owner: asyncpg.Pool) -> None:
        self.scan, self.worker, self.owner = scan, worker, owner
        self.raises: set[str] = set()
        self.answers: dict[str, Fired] = {}

    async def note(self, conn: Connection, due: Sequence[Timer], _now: datetime) -> Sequence[Fired]:
        await conn.executemany("insert into noted values ($1)", [(timer.key,) for timer in due])
        if self.raises & {timer.key for timer in due}:
            raise ValueError("this timer cannot be fired")
        return [self.answers[timer.key] for timer in due if timer.key in self.answers]

    def scheduler(self) -> Scheduler:
        return Scheduler(self.scan, self.worker, {"note": self.note})

    async def arm(self, *timers: Timer) -> set[str]:
        changed: set[str] = set()
        for tenant in {timer.tenant_id for timer in timers}:
            async with tenants_transaction(self.worker, [tenant]) as conn:
                changed |= await arm(conn, [timer for timer in timers if timer.tenant_id == tenant])
        return changed

    async def noted(self) -> list[str]:
        return sorted(row["timer_key"] for row in await self.owner.fetch("select timer_key from noted"))

    async def state(self, key: str) -> tuple[str, datetime]:
        row = await self.owner.fetchrow("select state, due_at from timers where timer_key = $1", key)
        assert row is not None
        return row["state"], row["due_at"]


def timer(key: str, due: datetime = PAST, **more: Any) -> Timer:
    return Timer(more.pop("tenant", "acme"), key, more.pop("kind", "note"), due, **more)


@pytest.fixture
async def house(database: ClonedDatabase) -> AsyncIterator[House]:
    async with (
        asyncpg.create_pool(database.url("scan"), min_size=1, max_size=3) as scan,
        asyncpg.create_pool(database.url("worker"), min_size=1, max_size=4) as worker,
        asyncpg.create_pool(database.url("superuser"), min_size=1, max_size=2) as owner,
    ):
        await owner.execute("create table noted (timer_key text); grant insert on noted to cs_worker")
        yield House(scan, worker, owner)


@pytest.mark.requirement("trap-25")
async def test_due_timers_fire_once_and_the_others_wait(house: House) -> None:
    await house.arm(timer("a"), timer("b", tenant="beta"), timer("later", FUTURE), timer("foreign", kind="other"))
    scheduler = house.scheduler()
    assert await scheduler.round(asyncio.Event()) == 2
    assert await scheduler.round(asyncio.Event()) == 0
    assert await house.noted() == ["a", "b"]
    await house.owner.execute(
        "create or replace function cs_now() returns timestamptz language sql stable parallel safe"
        " return statement_timestamp() + interval '2 hours'"
    )
    assert await scheduler.round(asyncio.Event()) == 1
    assert await house.noted() == ["a", "b", "later"]


async def test_two_schedulers_fire_everything_once(house: House) -> None:
    await house.arm(*(timer(f"t{number:04}") for number in range(3000)))
    stop = asyncio.Event()
    running = [asyncio.create_task(house.scheduler().run(stop, 0.001, 0.01)) for _ in range(2)]
    await until(lambda: _none_armed(house), 20, what="all timers")
    stop.set()
    await asyncio.gather(*running)
    assert await house.noted() == [f"t{number:04}" for number in range(3000)]


@pytest.mark.hole("timer-of-another-entry")
async def test_a_timer_of_another_entry_is_a_recorded_no_op(house: House) -> None:
    """Entry 3 armed it and it is due; its owner is in entry 4 by now, and its handler knows."""
    await house.arm(timer("sla", entry=3))
    house.answers["sla"] = Fired("sla", outdated=True)
    await house.scheduler().round(asyncio.Event())
    assert (await house.state("sla"))[0] == "outdated"
    # An order of the older entry that comes late changes nothing; the new entry's arms.
    assert await house.arm(timer("sla", entry=2)) == set()
    assert await house.arm(timer("sla", entry=3)) == set()
    assert await house.arm(timer("sla", FUTURE, entry=4)) == {"sla"}
    assert await house.arm(timer("sla", PAST, entry=3)) == set()
    assert await house.state("sla") == ("armed", FUTURE)


async def test_arming_moves_and_disarming_ends(house: House) -> None:
    await house.arm(timer("a", FUTURE), timer("b"))
    assert await house.arm(timer("a", PAST)) == {"a"}
    async with tenants_transaction(house.worker, ["acme"]) as conn:
        assert await disarm(conn, {("acme", "b"): None, ("acme", "absent"): None}) == {"b"}
    await house.scheduler().round(asyncio.Event())
    assert await house.noted() == ["a"]
    assert (await house.state("b"))[0] == "canceled"


@pytest.mark.requirement("trap-24")
async def test_a_schedule_arms_itself_and_two_schedulers_fire_each_instant_once(house: House) -> None:
    first = datetime(2024, 3, 30, 1, 30, tzinfo=UTC)

    async def recur(conn: Connection, due: Sequence[Timer], now: datetime) -> Sequence[Fired]:
        await conn.executemany("insert into noted values ($1)", [(str(one.due_at),) for one in due])
        following = {one.key: next_fire("30 2 * * *", "Europe/Berlin", one.due_at) for one in due}
        return [Fired(key, next_due=at) for key, at in following.items() if at.year == 2024 and at.month < 5]

    await house.arm(timer("rule", first))
    schedulers = [Scheduler(house.scan, house.worker, {"note": recur}) for _ in range(2)]
    stop = asyncio.Event()
    running = [asyncio.create_task(scheduler.run(stop, 0.001, 0.002)) for scheduler in schedulers]
    await until(lambda: _none_armed(house), 20, what="the end of April")
    stop.set()
    await asyncio.gather(*running)
    noted = await house.noted()
    assert len(noted) == len(set(noted)) == 32
    # 02:30 does not exist on the 31st of March: it fires when the gap is over.
    assert noted[1] == "2024-03-31 01:00:00+00:00"


async def test_a_timer_that_cannot_be_fired_keeps_no_other_waiting(house: House) -> None:
    house.raises = {"bad"}
    await house.arm(timer("a"), timer("bad"), timer("c"))
    assert await house.scheduler().round(asyncio.Event()) == 3
    assert await house.noted() == ["a", "c"]
    state, due = await house.state("bad")
    assert state == "armed"
    assert due > datetime.now(UTC)
    (incident,) = await house.owner.fetch("select kind, object_id from incidents")
    assert tuple(incident) == ("timer-failed", "bad")


async def test_a_page_is_one_transaction(house: House) -> None:
    """A handler that raises after it wrote leaves nothing behind."""
    house.raises = {"bad"}
    await house.arm(timer("bad"))
    with pytest.raises(ValueError, match="cannot be fired"):
        async with tenants_transaction(house.worker, ["acme"]) as conn:
            await fire(conn, {"note": house.note}, "acme", 10)
    assert await house.noted() == []
    assert (await house.state("bad"))[0] == "armed"


async def test_a_shredded_subjects_timers_go(house: House) -> None:
    await house.arm(timer("a", subject_id="LEAD/1", command={"name": "An"}), timer("b", subject_id="LEAD/2"))
    async with tenants_transaction(house.worker, ["acme"]) as conn:
        assert await purge_timers(conn, "acme", "LEAD/1") == {"public.timers": 1}
    assert [row["timer_key"] for row in await house.owner.fetch("select timer_key from timers")] == ["b"]


async def _none_armed(house: House) -> bool:
    return not await house.owner.fetchval("select exists (select from timers where state = 'armed')")
