"""Table versions made by the real ddl job, and rows for them."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import asyncpg

from domain.cases.mapping.tables import ColumnSpec, TableSpec, table_specs
from domain.cases.mapping_store import released_files
from projections import ddl_orders
from projections.cases.writing import CaseRow
from projections.versions import create_version
from runtime.postgres import array_literal

NAME = "case_plain_order_case"
ITEMS = "case_plain_order_case_items"
TENANTS = ("acme", "other")


@cache
def order_spec() -> TableSpec:
    """The table of the released class com.app.OrderCase."""
    specs, _ = table_specs(released_files())
    return next(spec for spec in specs if spec.name == NAME)


def small_spec(*columns: str, name: str = "case_plain_small") -> TableSpec:
    """`name:type` columns without feeds."""
    named = [column.split(":") for column in columns]
    made = tuple(ColumnSpec(column, kind, comment=f"$.{column}") for column, kind in named)
    return TableSpec(name, made, {"com.app.Small": ()})


async def make_version(conn: asyncpg.Connection, table: TableSpec | str, by: str = "test") -> int:
    """Plan, order and execute in development, as the owner."""
    async with conn.transaction():
        version = await create_version(conn, table, by=by)
        name = table if isinstance(table, str) else table.name
        await ddl_orders.order(conn, "create", name, version, by=by)
    done = await ddl_orders.execute_open(conn, development=True)
    assert [one.state for one in done] == ["executed"], done
    return version


async def switch(conn: asyncpg.Connection, name: str, version: int) -> ddl_orders.Executed:
    await ddl_orders.order(conn, "switch", name, version, by="test")
    done = await ddl_orders.execute_open(conn, development=True)
    assert len(done) == 1
    return done[0]


async def sees(conn: asyncpg.Connection, *tenants: str) -> None:
    """The session works for these tenants, as a batch does."""
    await conn.execute("select set_config('app.tenants', $1, false)", array_literal(tenants))


def order_row(case_id: str, version: int, *skus: str, tenant: str = "acme", **values: Any) -> CaseRow:
    """A row of the order table with these items."""
    columns = [column.name for column in order_spec().columns]
    given = {
        "class_name": "com.app.OrderCase",
        "order_total": Decimal("10.50"),
        "updated_at": datetime(2026, 1, version, tzinfo=UTC),
    }
    filled = {**given, **values}
    child = [column.name for column in order_spec().children[0].columns]
    items = [(at, *({"sku": sku, "quantity": version}.get(name) for name in child)) for at, sku in enumerate(skus)]
    return CaseRow(
        "acme" if tenant == "acme" else tenant,
        case_id,
        version,
        f"s-{case_id}",
        tuple(filled.get(c) for c in columns),
        {ITEMS: items},
    )


def tombstone(row: CaseRow, version: int) -> CaseRow:
    return row._replace(snapshot_version=version, values=(), children={}, tombstone="removed")
