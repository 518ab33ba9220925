"""A batch of rows into a table version in three ways: an array per column, an array of rows, COPY and insert-select."""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from projections.cases.writing import Writer
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.projections.tables import NAME, order_row, order_spec, sees

TABLE = f"projections.{NAME}__v1"
BATCH, BATCHES = 1000, 20
Records = Sequence[tuple[Any, ...]]


async def measure(database: ClonedDatabase, owner: asyncpg.Connection, rounds: int) -> dict[str, dict[str, float]]:
    """Median milliseconds per batch of 1,000 rows: inserting, then updating. The ways take turns."""
    conn = await asyncpg.connect(database.url("worker"))
    await sees(conn, "acme")
    upsert = Writer(order_spec(), 1)._upsert
    columns = await owner.fetch(
        "select attname, format_type(atttypid, null) as type from pg_attribute where attrelid = $1::regclass and attnum > 0"
        " order by attnum",
        TABLE,
    )
    arrays = ", ".join(f"${at + 1}::{row['type']}[]" for at, row in enumerate(columns))
    by_column = upsert.replace(f'unnest($1::"projections"."{NAME}__v1"[])', f"unnest({arrays})")
    await conn.execute(f"create temp table stage (like {TABLE}) on commit delete rows")
    staged = upsert.replace(f'select r.* from unnest($1::"projections"."{NAME}__v1"[]) as r', "select * from stage")

    async def per_column(records: Records) -> None:
        await conn.fetch(by_column, *(list(values) for values in zip(*records, strict=True)))

    async def of_rows(records: Records) -> None:
        await conn.fetch(upsert, list(records))

    async def copied(records: Records) -> None:
        await conn.copy_records_to_table("stage", records=records)
        await conn.fetch(staged)

    ways = {"an array per column": per_column, "an array of rows": of_rows, "COPY, insert-select": copied}
    taken: dict[str, dict[str, list[float]]] = {way: {"insert": [], "update": []} for way in ways}
    for _ in range(rounds):
        for way, write in ways.items():
            await owner.execute(f"truncate {TABLE}")
            for version, kind in ((1, "insert"), (2, "update")):
                taken[way][kind] += await _batches(conn, write, version)
    await owner.execute(f"truncate {TABLE}")
    await conn.close()
    return {way: {kind: round(statistics.median(ms), 1) for kind, ms in kinds.items()} for way, kinds in taken.items()}


async def _batches(conn: asyncpg.Connection, write: Callable[[Records], Awaitable[None]], version: int) -> list[float]:
    taken, writer = [], Writer(order_spec(), 1)
    for batch in range(BATCHES):
        records = [writer._record(order_row(f"c{batch * BATCH + n:08d}", version)) for n in range(BATCH)]
        began = time.perf_counter()
        async with conn.transaction():
            await write(records)
        taken.append((time.perf_counter() - began) * 1000)
    return taken
