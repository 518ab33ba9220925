"""psql and DuckDB over an analyst's login: the right answers, digit by digit, and no row of another tenant."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import duckdb
import pytest
from duckdb_extensions import import_extension

from domain.directory.analysts import add_analyst, remove_analyst
from runtime.stack.postgres_programs import find_postgres
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.analysts.orders import CANARY, TENANTS, Order, above, fill, orders, revenue, sold
from tests.integration.database.conftest import Connect, connect

__all__ = ["connect"]

LOGIN, PASSWORD = "analyst_of_acme", "a password with a space"
REVENUE = """
select region, count(*) as orders, sum(order_total) as total
from {schema}case_plain_order_case group by region order by region nulls last
"""
SOLD = """
select i.sku, sum(i.quantity) as sold
from {schema}case_plain_order_case o
join {schema}case_plain_order_case_items i on i.tenant_id = o.tenant_id and i.case_id = o.case_id
group by i.sku order by i.sku
"""
ABOVE = """
select case_id, order_total from {schema}case_plain_order_case
where order_total > 5000000.00 and region = 'north' order by case_id
"""
LIMIT = Decimal("5000000.00")


@dataclass(frozen=True)
class Analyst:
    """A login of one tenant, and what is in its tables."""

    url: str
    own: list[Order]


@pytest.fixture
async def analyst(database: ClonedDatabase, connect: Connect) -> AsyncIterator[Analyst]:
    owner, worker = await connect("migrate"), await connect("worker")
    for tenant in TENANTS:
        await owner.execute("insert into tenants (tenant_id, name) values ($1, $1)", tenant)
    own, foreign = orders("acme", 300), orders("other", 200)
    await fill(owner, worker, own + foreign)
    assert await add_analyst(owner, LOGIN, "acme", PASSWORD, "root") is None
    parts = urlsplit(database.url("migrate"))
    host = parts.netloc.rpartition("@")[2]
    yield Analyst(urlunsplit(parts._replace(netloc=f"{LOGIN}:{quote(PASSWORD)}@{host}")), own)
    await remove_analyst(owner, LOGIN, None, "root")


# -- psql


async def psql(analyst: Analyst, statement: str) -> tuple[int, list[list[str]], str]:
    """Exit code, rows of texts, and what was said on stderr."""
    beside = find_postgres().folder / "psql"
    program = str(beside) if beside.exists() else shutil.which("psql")
    if program is None:
        pytest.skip("no psql on this machine")
    options = ("--no-psqlrc", "--csv", "--tuples-only", "--quiet", "--set", "ON_ERROR_STOP=1")
    process = await asyncio.create_subprocess_exec(
        *(program, analyst.url, *options, "--command", statement),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    out, err = await process.communicate()
    return process.returncode or 0, [line.split(",") for line in out.decode().splitlines()], err.decode()


@pytest.mark.requirement("CD-4")
async def test_psql_gets_the_right_answers(analyst: Analyst) -> None:
    code, rows, err = await psql(analyst, REVENUE.format(schema="analytics."))
    assert code == 0, err
    assert rows == [[region or "", str(count), str(total)] for region, count, total in revenue(analyst.own)]
    _, rows, _ = await psql(analyst, SOLD.format(schema="analytics."))
    assert rows == [[sku, str(count)] for sku, count in sold(analyst.own)]
    _, rows, _ = await psql(analyst, ABOVE.format(schema="analytics."))
    assert rows == [[case_id, str(total)] for case_id, total in above(analyst.own, LIMIT)]


@pytest.mark.requirement("SP-8")
async def test_psql_sees_no_other_tenant_whatever_it_sets(analyst: Analyst) -> None:
    for trick in ("", "set app.tenant = 'other';", "set app.tenants = '{acme,other}';", "set role cs_analyst;"):
        for place in ("analytics.case_plain_order_case", "projections.case_plain_order_case__v1",
                      "analytics.case_plain_order_case_items", "projections.case_plain_order_case_items__v1"):  # fmt: skip
            code, rows, err = await psql(analyst, f"{trick} select distinct tenant_id from {place}")
            assert (code, rows) == (0, [["acme"]]), err
    code, out, _ = await psql(analyst, "select * from analytics.case_plain_order_case")
    assert code == 0
    assert CANARY not in str(out)


async def test_psql_writes_nothing_and_reads_nothing_else(analyst: Analyst) -> None:
    for statement in (
        "delete from projections.case_plain_order_case__v1",
        "update analytics.case_plain_order_case set region = 'x'",
        "select * from public.sys_case_data_store",
        "select * from public.cases",
        "select * from public.mapping_definitions",
        "create table public.mine (x int)",
    ):
        code, _, err = await psql(analyst, statement)
        assert code != 0, statement
        assert "permission denied" in err or "cannot update view" in err, err


async def test_psql_sees_how_fresh_a_table_is(analyst: Analyst) -> None:
    code, rows, err = await psql(
        analyst, "select table_name, serving_version, state from meta.projection_freshness where table_name like 'case_plain%'"
    )
    assert (code, rows) == (0, [["case_plain_order_case", "1", "serving"]]), err


# -- DuckDB


@pytest.fixture
def duck(analyst: Analyst, tmp_path: Path) -> "AsyncIterator[duckdb.DuckDBPyConnection]":  # type: ignore[misc]
    """DuckDB with the analyst's database attached. Nothing is downloaded: the extension comes from its package."""
    config = {"extension_directory": str(tmp_path), "autoinstall_known_extensions": "false"}
    with duckdb.connect(config=config) as conn:  # type: ignore[arg-type]
        import_extension("postgres_scanner", con=conn)
        conn.execute("load postgres_scanner")
        conn.execute(f"attach '{analyst.url}' as casestream (type postgres, read_only)")
        yield conn


@pytest.mark.requirement("CD-4")
async def test_duckdb_gets_the_right_answers_exactly(analyst: Analyst, duck: duckdb.DuckDBPyConnection) -> None:
    schema = "casestream.analytics."
    assert duck.execute(REVENUE.format(schema=schema)).fetchall() == revenue(analyst.own)
    assert duck.execute(SOLD.format(schema=schema)).fetchall() == sold(analyst.own)
    assert duck.execute(ABOVE.format(schema=schema)).fetchall() == above(analyst.own, LIMIT)
    kind = duck.execute(f"select typeof(order_total) from {schema}case_plain_order_case limit 1").fetchone()
    assert kind == ("DECIMAL(12,2)",)


async def test_duckdb_joins_what_it_reads_with_a_table_of_its_own(
    analyst: Analyst, duck: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    targets = tmp_path / "targets.csv"
    targets.write_text("region,target\nnorth,1000\nsouth,2000\n")
    rows = duck.execute(
        "select t.region, t.target, sum(o.order_total) from casestream.analytics.case_plain_order_case o"
        f" join read_csv('{targets}') t using (region) group by all order by 1"
    ).fetchall()
    totals = {region: total for region, _, total in revenue(analyst.own)}
    assert rows == [("north", 1000, totals["north"]), ("south", 2000, totals["south"])]


@pytest.mark.requirement("SP-8")
async def test_duckdb_sees_no_other_tenant(analyst: Analyst, duck: duckdb.DuckDBPyConnection) -> None:
    for place in (
        "analytics.case_plain_order_case",
        "projections.case_plain_order_case__v1",
        "analytics.case_plain_order_case_items",
        "projections.case_plain_order_case_items__v1",
    ):
        assert duck.execute(f"select distinct tenant_id from casestream.{place}").fetchall() == [("acme",)]
    counted = duck.execute("select count(*) from casestream.analytics.case_plain_order_case").fetchone()
    assert counted == (len(analyst.own),)
    asked = "select * from postgres_query('casestream', 'select count(*) from projections.case_plain_order_case__v1')"
    assert duck.execute(asked).fetchone() == (len(analyst.own),)
    everything = duck.execute("select * from casestream.analytics.case_plain_order_case").fetchall()
    assert CANARY not in str(everything)


async def test_duckdb_writes_nothing(duck: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.Error):
        duck.execute("delete from casestream.projections.case_plain_order_case__v1")
    with pytest.raises(duckdb.Error, match="permission denied"):
        duck.execute("select * from postgres_query('casestream', 'select * from public.sys_case_data_store')")
