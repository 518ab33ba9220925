"""The relays stand still while a topic grows: the lease is renewed beside whatever the block waits for."""

import asyncio
from datetime import datetime

import asyncpg
import pytest

from runtime.relay_pause import relays_stopped
from schemas.errors import TransientError
from tests.waiting import until

# Renewed every second, and a busy machine may be late by four.
LEASE = 5.0


async def ends(owner: asyncpg.Connection) -> datetime:
    found: datetime = await owner.fetchval("select min(expires_at) from relay_shards")
    return found


@pytest.mark.hole("no-partition-increase")
async def test_the_lease_is_renewed_while_the_block_waits_for_something_else(
    scan: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    async with relays_stopped(scan, "a test", LEASE) as shards:
        first = await ends(owner)

        async def ends_after(instant: datetime) -> bool:
            return await ends(owner) > instant

        await until(lambda: ends_after(first), what="a renewal")
        second = await ends(owner)
        await until(lambda: ends_after(second), what="another one")
        await shards.renew()
    assert await owner.fetchval("select count(*) from relay_shards where owner <> ''") == 0


@pytest.mark.hole("no-partition-increase")
async def test_a_lost_shard_ends_the_block_wherever_it_waits(scan: asyncpg.Pool, owner: asyncpg.Connection) -> None:
    async def work() -> None:
        async with relays_stopped(scan, "a test", LEASE):
            await owner.execute("update relay_shards set term = term + 1, owner = 'other' where shard = 3")
            await asyncio.wait_for(asyncio.Event().wait(), 60)

    with pytest.raises(TransientError, match="lost the relay's shards"):
        await work()
    assert await owner.fetchval("select array_agg(owner) from relay_shards where owner <> ''") == ["other"]


async def test_the_blocks_own_failure_is_told_as_it_is(scan: asyncpg.Pool) -> None:
    with pytest.raises(KeyError, match="own"):
        async with relays_stopped(scan, "a test", LEASE):
            raise KeyError("own")
