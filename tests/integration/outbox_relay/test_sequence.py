"""What the floor takes from PostgreSQL: the sequence, transaction ids, and what a crash does to them."""

from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest
import pytest_asyncio

from outbox_relay import status
from outbox_relay.floor import Horizon
from outbox_relay.relay import queries, refuse_sequence_in_blocks
from runtime import migrations
from runtime.stack.postgres import PostgresServer
from runtime.stack.roles import apply_roles
from schemas.errors import ConfigurationError
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.outbox_relay.rows import OutboxRow, insert


@pytest_asyncio.fixture
async def scan(database: ClonedDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.url("scan"))
    yield connection
    await connection.close()


async def execute(database: ClonedDatabase, statement: str) -> None:
    connection = await asyncpg.connect(database.url("migrate"))
    await connection.execute(statement)
    await connection.close()


async def draw(conn: asyncpg.Connection, horizon: Horizon) -> Horizon:
    return horizon.draw(await queries.read_last_value(conn), await queries.draw_transaction_id(conn))


@pytest.mark.parametrize("change", ["set cache 32", "set increment 2", "set cycle"])
async def test_a_relay_refuses_a_sequence_that_it_cannot_follow(
    database: ClonedDatabase, scan: asyncpg.Connection, change: str
) -> None:
    await refuse_sequence_in_blocks(scan)
    await execute(database, f"alter table outbox_events alter column id {change}")

    with pytest.raises(ConfigurationError, match=r"outbox_events\.id"):
        await refuse_sequence_in_blocks(scan)


async def test_before_the_first_id_nothing_is_drawn(database: ClonedDatabase, scan: asyncpg.Connection) -> None:
    # A fresh sequence says last_value 1 although 1 is still to come.
    assert await queries.read_last_value(scan) == 0

    writer = await asyncpg.connect(database.url("worker"))
    assert await insert(writer, [OutboxRow("item-1", 1)]) == [1]
    assert await queries.read_last_value(scan) == 1
    await writer.close()


async def test_an_open_writer_holds_the_floor_down_and_an_idle_snapshot_does_not(
    database: ClonedDatabase, scan: asyncpg.Connection
) -> None:
    reader, writer = await asyncpg.connect(database.url()), await asyncpg.connect(database.url("worker"))
    await reader.execute("begin isolation level repeatable read; select from outbox_events")
    transaction = writer.transaction()
    await transaction.start()
    await insert(writer, [OutboxRow("item-1", 1)])
    drawn = await draw(scan, Horizon())

    assert drawn.observe(await queries.read_xmin(scan)).candidate is not None
    await transaction.commit()
    assert drawn.observe(await queries.read_xmin(scan)) == Horizon(settled=1)
    await reader.close()
    await writer.close()


async def test_floors_above_the_sequence_go_back_to_zero(database: ClonedDatabase, scan: asyncpg.Connection) -> None:
    await scan.execute("update relay_shards set floor = 5 where shard = 2")

    assert [row["shard"] for row in await queries.lower_floors(scan)] == [2]
    # Under a new term, or whoever holds the shard would go on with the floor that it remembers.
    assert await scan.fetchval("select term from relay_shards where shard = 2") == 1
    assert await queries.lower_floors(scan) == []


async def test_the_reset_of_floors_finds_hidden_rows_and_takes_the_shards_away(
    database: ClonedDatabase, scan: asyncpg.Connection
) -> None:
    writer = await asyncpg.connect(database.url("worker"))
    await insert(writer, [OutboxRow("item-1", 1)])
    await writer.close()
    await scan.execute("update relay_shards set floor = 9, owner = 'one', expires_at = 'infinity'")

    assert sum((await status.rows_below_floor(scan)).values()) == 1
    assert await status.reset_floors(scan) == 16

    shards = await status.list_shards(scan)
    assert {(row["owner"], row["term"], row["floor"]) for row in shards} == {("", 1, 0)}
    assert sum(row["unsent"] for row in shards) == 1
    assert await status.rows_below_floor(scan) == {}


@pytest.mark.requirement("SP-2")
@pytest.mark.hole("floor-drops-candidate-on-new-connection")
async def test_a_crash_takes_unflushed_numbers_back_below_an_old_candidate(
    own_postgres: Callable[..., PostgresServer],
) -> None:
    server = own_postgres({"wal_writer_delay": "10s"})
    await apply_roles(server.url(), "secret")
    await migrations.apply(server.url(user="cs_migrate", password="secret"))
    scan, writer = [await asyncpg.connect(server.url(user=user, password="secret")) for user in ("cs_scan", "cs_worker")]
    await insert(writer, [OutboxRow("flushed", 1)])
    superuser = await asyncpg.connect(server.url())
    await superuser.execute("checkpoint")
    transaction = writer.transaction()
    await transaction.start()
    # More than the 32 numbers that PostgreSQL logs ahead.
    lost = await insert(writer, [OutboxRow("never-committed", number) for number in range(1, 101)])
    before = await draw(scan, Horizon())
    assert before.candidate is not None

    server.kill9()
    server.start()
    scan, writer = [await asyncpg.connect(server.url(user=user, password="secret")) for user in ("cs_scan", "cs_worker")]

    [drawn_again] = await insert(writer, [OutboxRow("after", 1)])
    assert drawn_again <= lost[-1], "the crash must take numbers back, or this test shows nothing"
    kept = before.observe(await queries.read_xmin(scan))
    assert kept.settled >= drawn_again, "a candidate that outlives its connection covers a row that nobody has sent"
    fresh = (await draw(scan, Horizon())).observe(await queries.read_xmin(scan))
    assert fresh.settled == drawn_again
    for connection in (scan, writer):
        await connection.close()
