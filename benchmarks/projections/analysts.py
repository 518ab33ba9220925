"""Analysts' questions under row level security, for each way in which a view may know the login's tenants.

`in (select)`: the policy as one writes it first. `any (array)`: the same set as one value, found once. `barrier`: a
security_barrier view with its owner's rights that filters by session_user itself. `bypass`: no policy, the tenant named in
the query: what it would cost without any protection.
"""

import statistics
import time
from typing import Any

import asyncpg

from tests.infrastructure.databases import ClonedDatabase

TABLE, VIEW = "projections.case_plain_order_case__v1", "analytics.case_plain_order_case"
LOGIN, PASSWORD = "bench_analyst", "correct horse battery staple"
TENANT = "t7"
_SET = "select a.tenant_id from analyst_tenants a where a.role_name = session_user"
POLICIES = {"in (select)": f"tenant_id in ({_SET})", "any (array)": f"tenant_id = any (array({_SET}))"}
FORMS = (*POLICIES, "barrier", "bypass")

# The numeric and the text filter once with nothing but the keys' index, once with an index that leads with the tenant.
QUESTIONS = {
    "one case": "select * from {view} where {tenant} case_id = 'c123456'",
    "count by state": "select state, count(*) from {view} where {tenant} true group by state",
    "text, equal": "select * from {view} where {tenant} business_key = 'b123456'",
    "text, LIKE": "select * from {view} where {tenant} business_key like 'b12345%'",
    "numeric, range": "select * from {view} where {tenant} order_total > 9990",
    "time, range": "select * from {view} where {tenant} updated_at > '2026-12-29'",
    "newest 20": "select * from {view} where {tenant} true order by updated_at desc limit 20",
}
INDEXES = (
    f"create index bench_total on {TABLE} (tenant_id, order_total)",
    f"create index bench_key on {TABLE} (tenant_id, business_key text_pattern_ops)",
    f"create index bench_time on {TABLE} (tenant_id, updated_at)",
)


async def fill(owner: asyncpg.Connection, tenants: int, rows: int) -> None:
    """So many rows for each tenant, cases of all tenants mixed as they are stored."""
    await owner.execute("insert into tenants select 't' || n, 'n' from generate_series(0, $1::int - 1) n", tenants)
    await owner.execute(
        f"insert into {TABLE} (tenant_id, case_id, snapshot_version, subject_id, class_name, business_key, state, order_total,"
        " updated_at, created_at)"
        " select 't' || n % $1::int, 'c' || n, 1, 's' || n, 'com.app.OrderCase', 'b' || n,"
        " (array['Active', 'Completed', 'Terminated'])[1 + n % 3], (n::bigint * 7919 % 1000000) / 100.0,"
        " '2026-01-01'::timestamptz + (n::bigint * 7919 % 31536000) * interval '1 second', '2026-01-01'"
        " from generate_series(0, $1::int * $2::int - 1) n",
        tenants,
        rows,
    )
    await owner.execute(f"create role {LOGIN} login password '{PASSWORD}' in role cs_analyst")
    await owner.execute("insert into analyst_tenants (tenant_id, role_name) values ($1, $2)", TENANT, LOGIN)
    names = [
        row["attname"]
        for row in await owner.fetch(
            "select attname from pg_attribute where attrelid = $1::regclass and attnum > 0 order by attnum", VIEW
        )
    ]
    columns = ", ".join(f'"{name}"' for name in names)
    await owner.execute(
        f"create view analytics.bench_barrier with (security_barrier = true) as select {columns} from {TABLE}"
        f" where tombstone is null and {POLICIES['any (array)']}"
    )
    await owner.execute("grant select on analytics.bench_barrier to cs_analyst; grant usage on schema public to cs_analyst")


async def measure(database: ClonedDatabase, owner: asyncpg.Connection, rounds: int) -> dict[str, dict[str, Any]]:
    """Median milliseconds and the plan's first table access, per index set, form and question."""
    found: dict[str, dict[str, Any]] = {}
    for indexed in (False, True):
        for statement in INDEXES if indexed else ():
            await owner.execute(statement)
        await owner.execute(f"vacuum analyze {TABLE}")
        for form in FORMS:
            if form in POLICIES:
                await owner.execute(f"alter policy analyst on {TABLE} using ({POLICIES[form]})")
            conn = owner if form == "bypass" else await _login(database)
            view = {"barrier": "analytics.bench_barrier", "bypass": TABLE}.get(form, VIEW)
            tenant = f"tenant_id = '{TENANT}' and" if form == "bypass" else ""
            for name, question in QUESTIONS.items():
                sql = question.format(view=view, tenant=tenant)
                entry = found.setdefault(name, {}).setdefault("indexes" if indexed else "keys only", {})
                entry[form] = {"ms": await _time(conn, sql, rounds), "plan": await _access(conn, sql)}
            if conn is not owner:
                await conn.close()
    return found


async def _login(database: ClonedDatabase) -> asyncpg.Connection:
    host = database.url("migrate").partition("@")[2]
    return await asyncpg.connect(f"postgresql://{LOGIN}:{PASSWORD.replace(' ', '%20')}@{host}")


async def _time(conn: asyncpg.Connection, sql: str, rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        await conn.fetch(sql)
        taken.append(time.perf_counter() - began)
    return round(statistics.median(taken) * 1000, 2)


async def _access(conn: asyncpg.Connection, sql: str) -> str:
    lines = [str(row[0]).strip().removeprefix("->  ") for row in await conn.fetch(f"explain (costs off) {sql}")]
    return next((line for line in lines if "case_plain_order_case" in line or ("bench_" in line and "Scan" in line)), lines[0])
