"""Leases with terms: who may empty a shard, and what an old term cannot do any more."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from domain.outbox.append import SHARDS
from outbox_relay.lease import ShardLeases
from outbox_relay.page import queries as page_queries
from outbox_relay.relay import LANES, OutboxRelay
from runtime.settings import Settings
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.outbox_relay.rows import OutboxRow, insert, name_in_shard
from tests.waiting import until


@pytest_asyncio.fixture
async def conn(database: ClonedDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.url("scan"))
    yield connection
    await connection.close()


async def started(conn: asyncpg.Connection, owner: str) -> ShardLeases:
    leases = ShardLeases(owner, lease_seconds=6.0)
    await leases.resume(conn)
    await leases.renew(conn)
    await leases.split(conn)
    return leases


async def expire(conn: asyncpg.Connection, owner: str) -> None:
    """As if six seconds went by in which this relay did nothing."""
    past = timedelta(seconds=-1)
    await conn.execute("update relay_shards set expires_at = cs_now() + $2 where owner = $1", owner, past)
    await conn.execute("update leases set expires_at = cs_now() + $2 where owner = $1", owner, past)


async def test_a_lone_relay_holds_every_shard(conn: asyncpg.Connection) -> None:
    leases = await started(conn, "one")

    assert sorted(leases.held) == list(range(16))
    assert leases.trusted


@pytest.mark.requirement("SP-7")
async def test_a_second_relay_gets_half_as_soon_as_the_first_has_let_go(conn: asyncpg.Connection) -> None:
    first = await started(conn, "one")
    second = await started(conn, "two")
    assert not second.held

    await first.split(conn)
    leaving = [shard for shard, lease in first.held.items() if lease.leaving]
    await first.release(conn, leaving)
    await second.split(conn)

    assert sorted(second.held) == sorted(leaving)
    assert len(first.held) == len(second.held) == 8
    await first.split(conn)
    assert not any(lease.leaving for lease in first.held.values())


@pytest.mark.requirement("SP-7")
async def test_a_relay_that_leaves_gives_its_shards_back_at_once(conn: asyncpg.Connection) -> None:
    first = await started(conn, "one")
    second = await started(conn, "two")

    await first.withdraw(conn)
    await second.split(conn)

    assert len(second.held) == 16
    assert await conn.fetchval("select count(*) from leases where name = 'relay/one'") == 0


@pytest.mark.requirement("SP-7")
async def test_a_takeover_raises_the_term_and_the_old_owner_notices(conn: asyncpg.Connection) -> None:
    sleeper = await started(conn, "sleeper")
    await expire(conn, "sleeper")
    heir = await started(conn, "heir")

    assert {shard: lease.term for shard, lease in heir.held.items()} == dict.fromkeys(range(16), 2)
    assert await sleeper.renew(conn) == set(range(16))
    assert not sleeper.held


@pytest.mark.requirement("SP-2", "SP-7")
async def test_an_old_term_deletes_nothing(conn: asyncpg.Connection, database: ClonedDatabase) -> None:
    writer = await asyncpg.connect(database.url("worker"))
    ids = await insert(writer, [OutboxRow(name_in_shard(3), 1)])
    await writer.close()
    sleeper = await started(conn, "sleeper")
    old = sleeper.held[3]
    await expire(conn, "sleeper")
    heir = await started(conn, "heir")

    refused = await page_queries.delete_rows(conn, shards=[3], terms=[old.term], ids=ids)
    assert refused["shards"] == []
    assert await conn.fetchval("select count(*) from outbox_events") == 1

    granted = await page_queries.delete_rows(conn, shards=[3], terms=[heir.held[3].term], ids=ids)
    assert granted["shards"] == [3]
    assert await conn.fetchval("select count(*) from outbox_events") == 0


async def test_an_old_term_moves_no_floor(conn: asyncpg.Connection) -> None:
    sleeper = await started(conn, "sleeper")
    old = sleeper.held[3]
    await expire(conn, "sleeper")
    heir = await started(conn, "heir")

    assert await page_queries.raise_floors(conn, shards=[3], terms=[old.term], floors=[99]) == []
    committed = await page_queries.raise_floors(conn, shards=[3], terms=[heir.held[3].term], floors=[99])
    assert [tuple(row) for row in committed] == [(3, 99)]


async def test_a_takeover_waits_for_a_delete_under_way_and_a_later_delete_sees_the_takeover(
    conn: asyncpg.Connection, database: ClonedDatabase
) -> None:
    sleeper = await started(conn, "sleeper")
    await expire(conn, "sleeper")
    other = await asyncpg.connect(database.url("scan"))

    async with conn.transaction():
        await page_queries.delete_rows(conn, shards=[3], terms=[sleeper.held[3].term], ids=[1])
        heir = await started(other, "heir")
        # The row is locked: it is skipped now and taken at the next try.
        assert 3 not in heir.held
    await heir.split(other)

    assert heir.held[3].term == 2
    await other.close()


async def test_new_connections_read_term_and_floor_again(conn: asyncpg.Connection) -> None:
    before = await started(conn, "one")
    await page_queries.raise_floors(conn, shards=[3], terms=[before.held[3].term], floors=[99])

    after = ShardLeases("one", lease_seconds=6.0)
    await after.resume(conn)

    assert after.held[3].floor == 99
    assert after.held[3].term == before.held[3].term + 1
    assert await before.renew(conn) == set(range(16))


async def test_a_relay_that_ended_leads_no_shard_on_its_metrics_page(database: ClonedDatabase) -> None:
    settings = Settings.model_validate({"DATABASE_URL": database.url("scan"), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    stop = asyncio.Event()
    async with asyncpg.create_pool(database.url("scan"), min_size=1, max_size=LANES + 2) as pool:
        running = asyncio.create_task(OutboxRelay(settings, pool).run(stop))
        await until(lambda: sum(map(leading, range(SHARDS))) == SHARDS, what="every shard to be led")
        stop.set()
        await running
    assert sum(map(leading, range(SHARDS))) == 0


def leading(shard: int) -> float:
    return REGISTRY.get_sample_value("relay_leader", {"shard": str(shard)}) or 0.0
