"""A batch reads the rows that it is about, also while the tables are young and the planner knows nothing of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import asyncpg

from domain.rules import batch
from domain.rules.matching import Occasion
from runtime.postgres import KEY_LOOKUPS, tenants_transaction
from tests.integration.rules.house import HOOK, OUTBOX, TASK, WIRING, House, event

EVENTS, BATCHES = 300, 4
_READ = """
    select relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) as read from pg_stat_xact_user_tables
    where relname in ('effects', 'effect_order_keys', 'workflow_execution_logs', 'workflow_rule_guards')"""


async def test_a_batch_of_matches_reads_no_more_than_its_own_rows(house: House) -> None:
    await house.rule(HOOK)
    url = house.world.database.url("worker")
    async with asyncpg.create_pool(url, min_size=1, max_size=1, server_settings=KEY_LOOKUPS) as pool:
        for number in range(BATCHES):
            read = await _meet(house, pool, number)

    assert len(read) == 4
    # Some rows several times, over all batches; a scan for each owner would read a million.
    assert all(count <= 30 * EVENTS for count in read.values()), read


async def _meet(house: House, pool: asyncpg.Pool, number: int) -> dict[str, int]:
    """A batch as the group's member runs it; the rows that it read of each table."""
    occasions = [event(f"e{number}-{lead}", str(lead), name="An") for lead in range(EVENTS)]
    async with tenants_transaction(pool, ["north"]) as conn:
        await _decide(house, conn, occasions)
        return {row["relname"]: row["read"] for row in await conn.fetch(_READ)}


async def _decide(house: House, conn: Any, occasions: Sequence[Occasion]) -> None:
    now: datetime = await conn.fetchval("select cs_now()")
    states: dict[Any, batch.State | None] = {**await batch.load(conn, house.rules, occasions)}
    rulings: list[batch.Ruling] = []
    for one in occasions:
        states[one.key], ruling = batch.decide(states[one.key], one, now)
        rulings.append(ruling)
    await batch.save(conn, OUTBOX, WIRING, rulings)


async def test_a_batch_of_calls_alone_takes_few_ways_to_the_server(house: House) -> None:
    """However many events it holds. What needs no network is performed there and then, which takes more."""
    await house.rule(HOOK)
    await house.meet(event("warm", name="An"))
    few, many = await _statements(house, "a", 1), await _statements(house, "b", 50)
    assert few == many <= 10
    await house.rule(TASK)
    assert await _statements(house, "c", 1) > many


async def _statements(house: House, name: str, count: int) -> int:
    asked: list[str] = []
    async with house.world.worker() as conn:
        with cast(Any, conn).query_logger(lambda record: asked.append(record.query)):
            await _decide(house, conn, [event(f"{name}{lead}", f"{name}{lead}", name="An") for lead in range(count)])
    return len(asked)
