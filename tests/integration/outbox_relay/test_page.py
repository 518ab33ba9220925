"""What a poll sees: the first rows above each floor, in id order, whatever commits late and however large rows are."""

from collections.abc import AsyncIterator
from typing import Any, cast

import asyncpg
import pytest
import pytest_asyncio

from outbox_relay.lease import Lease
from outbox_relay.page import INLINE_BYTES, PAGE_BYTES, Page, fetch_page, queries
from schemas.errors import TransientError
from schemas.headers import unpack_headers
from schemas.registry import MAX_EVENT_BYTES
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.outbox_relay.rows import OutboxRow, insert, name_in_shard


@pytest_asyncio.fixture
async def scan(database: ClonedDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.url("scan"))
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def writer(database: ClonedDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.url("worker"))
    yield connection
    await connection.close()


def lease(shard: int, floor: int = 0) -> Lease:
    return Lease(shard, term=1, floor=floor)


def ids(page: Page) -> list[int]:
    """In the order of publishing."""
    return [row_id for part in page.slices for row_id in part.ids]


async def test_a_page_holds_the_first_rows_of_each_shard_in_id_order(
    scan: asyncpg.Connection, writer: asyncpg.Connection
) -> None:
    rows = [OutboxRow(name_in_shard(shard), number) for number in range(1, 5) for shard in (3, 7, 9)]
    written = await insert(writer, rows)

    page = await fetch_page(scan, [lease(3), lease(7)], per_shard=3)

    # Written in turns 3, 7, 9, 3, 7, 9 ...; the ninth shard is not asked for.
    assert {part.shard: part.ids for part in page.slices} == {3: written[0:9:3], 7: written[1:9:3]}
    assert page.full_shards(3) == 2


async def test_a_row_arrives_with_its_bytes_untouched(scan: asyncpg.Connection, writer: asyncpg.Connection) -> None:
    row = OutboxRow(name_in_shard(3), 1, payload=b'{"a":"\\u0000"}')
    await insert(writer, [row])

    [part] = (await fetch_page(scan, [lease(3)], per_shard=10)).slices

    [(_, topic, key, headers, payload)] = part.rows()
    assert (part.shard, topic, key, payload) == (3, row.topic, row.key, row.payload)
    assert unpack_headers(headers or b"") == row.headers


@pytest.mark.requirement("SP-2")
async def test_a_row_that_commits_after_its_successors_is_found(
    database: ClonedDatabase, scan: asyncpg.Connection, writer: asyncpg.Connection
) -> None:
    late = await asyncpg.connect(database.url("worker"))
    transaction = late.transaction()
    await transaction.start()
    [early_id] = await insert(late, [OutboxRow(name_in_shard(3), 1)])
    [next_id] = await insert(writer, [OutboxRow(name_in_shard(3, start=500), 1)])
    assert ids(await fetch_page(scan, [lease(3)], per_shard=10)) == [next_id]

    await transaction.commit()

    assert ids(await fetch_page(scan, [lease(3)], per_shard=10)) == [early_id, next_id]
    await late.close()


async def test_rows_at_or_below_the_floor_and_of_held_topics_are_left_out(
    scan: asyncpg.Connection, writer: asyncpg.Connection
) -> None:
    name = name_in_shard(3)
    rows = [OutboxRow(name, 1), OutboxRow(name, 2, topic="held"), OutboxRow(name, 3)]
    first, _, third = await insert(writer, rows)

    assert ids(await fetch_page(scan, [lease(3, floor=first)], per_shard=10, held_topics=["held"])) == [third]


@pytest.mark.parametrize(
    ("block", "types", "arguments"),
    [
        ("fetch_page", "smallint[], bigint[], integer, text[], integer", "'{1,2}', '{0,0}', 4096, '{}', 250"),
        ("delete_rows", "smallint[], bigint[], bigint[]", "'{1,2}', '{0,0}', '{1,2,3}'"),
    ],
)
async def test_a_plan_made_on_the_empty_table_reaches_rows_by_index(
    database: ClonedDatabase, scan: asyncpg.Connection, block: str, types: str, arguments: str
) -> None:
    owner = await asyncpg.connect(database.url())
    await owner.execute("vacuum analyze outbox_events")
    await owner.close()
    await queries.prepare_lane(scan)
    await scan.execute(f"prepare polled ({types}) as {queries.sql_of(block).rstrip(';')}")
    await scan.execute("set plan_cache_mode = force_generic_plan")

    plan = "\n".join(row[0] for row in await scan.fetch(f"explain execute polled ({arguments})"))

    assert "Index Scan using outbox_events_pkey" in plan, plan
    assert "Seq Scan" not in plan, plan


class Overtaken:
    """A connection whose shard another relay empties between the first and the second fetch of a page."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        rows: list[Any] = await self._conn.fetch(query, *args)
        await self._conn.execute("delete from outbox_events")
        return rows


async def test_rows_that_another_relay_deleted_meanwhile_begin_everything_anew(
    scan: asyncpg.Connection, writer: asyncpg.Connection
) -> None:
    await insert(writer, [OutboxRow(name_in_shard(3), 1, b"x" * INLINE_BYTES * 2)])
    with pytest.raises(TransientError, match="another relay"):
        await fetch_page(cast("asyncpg.Connection", Overtaken(scan)), [lease(3)], per_shard=10)


@pytest.mark.hole("relay-size-check")
async def test_the_largest_events_are_cut_into_pages_and_none_is_left_behind(
    scan: asyncpg.Connection, writer: asyncpg.Connection
) -> None:
    largest = b"x" * (MAX_EVENT_BYTES - 1000)
    rows = [OutboxRow(name_in_shard(3), number, payload=largest) for number in range(1, 13)]
    small = OutboxRow(name_in_shard(7), 1)
    written = await insert(writer, [*rows, small])

    page = await fetch_page(scan, [lease(3), lease(7)], per_shard=100)

    assert ids(page) == written[: PAGE_BYTES // len(largest)]
    assert [set(part.payloads) for part in page.slices] == [{largest}]
    # A floor is told of what lay behind the cut too, or it would rise above it.
    assert page.first_unsent() == {3: written[0], 7: written[-1]}


async def test_a_row_just_above_the_inline_size_has_its_bytes(scan: asyncpg.Connection, writer: asyncpg.Connection) -> None:
    payloads = [b"x" * size for size in (1, INLINE_BYTES, 2, INLINE_BYTES * 5, 3)]
    await insert(writer, [OutboxRow(name_in_shard(3), n, payload) for n, payload in enumerate(payloads, start=1)])

    page = await fetch_page(scan, [lease(3)], per_shard=10)

    [part] = page.slices
    assert part.payloads == payloads
    assert all(unpack_headers(headers or b"") for headers in part.headers)


async def test_large_rows_of_several_shards_are_cut_by_age_and_small_ones_between_them_stay(
    scan: asyncpg.Connection, writer: asyncpg.Connection
) -> None:
    largest, names = b"x" * (MAX_EVENT_BYTES - 1000), [name_in_shard(shard) for shard in (3, 7)]
    rows = [OutboxRow(names[n % 2], n, b"s" if n % 3 else largest) for n in range(1, 40)]
    written = await insert(writer, rows)

    page = await fetch_page(scan, [lease(3), lease(7)], per_shard=100)

    # Every third is large: the tenth of them would pass PAGE_BYTES.
    kept = PAGE_BYTES // len(largest) * 3 + 2
    assert sorted(ids(page)) == written[:kept]
    found = {row_id: payload for part in page.slices for row_id, payload in zip(part.ids, part.payloads, strict=True)}
    assert [found[row_id] for row_id in written[:kept]] == [row.payload for row in rows[:kept]]


@pytest.mark.hole("relay-size-check")
async def test_a_row_that_the_broker_could_refuse_fails_in_its_writer(writer: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await insert(writer, [OutboxRow("too-large", 1, payload=b"x" * MAX_EVENT_BYTES)])

    assert refused.value.constraint_name == "outbox_event_size"


async def test_a_user_may_swap_relays_the_view_has_debeziums_columns_and_types(
    database: ClonedDatabase, scan: asyncpg.Connection, writer: asyncpg.Connection
) -> None:
    columns = await scan.fetch(
        "select attname::text, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = 'outbox_debezium'::regclass and attnum > 0 order by attnum"
    )
    assert [tuple(column) for column in columns] == [
        ("id", "uuid"),
        ("aggregatetype", "character varying(255)"),
        ("aggregateid", "character varying(255)"),
        ("type", "character varying(255)"),
        ("payload", "jsonb"),
    ]

    await insert(writer, [OutboxRow("item-1", 1, payload=b'{"a":1}')])
    [row] = await scan.fetch("select * from outbox_debezium")
    assert (row["aggregatetype"], row["aggregateid"], row["type"]) == ("work_item", "item-1", "Tested")
    assert row["payload"] == '{"a": 1}'
