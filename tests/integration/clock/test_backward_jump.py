"""A database clock that was set back: leases from its future are nobody's, or a dead owner would hold them for hours."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from outbox_relay.lease import ShardLeases
from tests.infrastructure.databases import ClonedDatabase
from workers.lease import Leadership


@pytest_asyncio.fixture
async def pool(database: ClonedDatabase) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(database.url("scan"), min_size=1, max_size=2) as made:
        yield made


async def shift_clock(database: ClonedDatabase, interval: str) -> None:
    conn = await asyncpg.connect(database.url("migrate"))
    try:
        await conn.execute(
            "create or replace function cs_now() returns timestamptz language sql stable parallel safe "
            f"return statement_timestamp() + interval '{interval}'"
        )
    finally:
        await conn.close()


async def relay(pool: asyncpg.Pool, owner: str) -> ShardLeases:
    leases = ShardLeases(owner, lease_seconds=6.0)
    async with pool.acquire() as conn:
        await leases.split(conn)
    return leases


@pytest.mark.requirement("SP-7")
async def test_the_shards_of_a_relay_that_died_before_the_jump_are_taken(database: ClonedDatabase, pool: asyncpg.Pool) -> None:
    await relay(pool, "dead")

    await shift_clock(database, "-1 hour")
    heir = await relay(pool, "heir")

    assert len(heir.held) == 16


@pytest.mark.requirement("SP-7")
async def test_relays_that_died_before_the_jump_get_no_share(database: ClonedDatabase, pool: asyncpg.Pool) -> None:
    for owner in ("dead", "dead-too"):
        leases = await relay(pool, owner)
        async with pool.acquire() as conn:
            await leases.release(conn, list(leases.held))

    await shift_clock(database, "-1 hour")

    assert len((await relay(pool, "alive")).held) == 16


@pytest.mark.requirement("SP-7")
async def test_a_jobs_lease_from_the_future_is_taken(database: ClonedDatabase, pool: asyncpg.Pool) -> None:
    assert await Leadership(pool, "worker/job", "dead").take() is not None

    await shift_clock(database, "-1 hour")
    heir = await Leadership(pool, "worker/job", "heir").take()

    assert heir is not None
    assert heir.term == 2


@pytest.mark.requirement("SP-7")
async def test_a_live_lease_is_not_taken(database: ClonedDatabase, pool: asyncpg.Pool) -> None:
    await relay(pool, "alive")
    await Leadership(pool, "worker/job", "alive").take()

    assert not (await relay(pool, "other")).held
    assert await Leadership(pool, "worker/job", "other").take() is None
