"""P7: no tenant sees another tenant's row, by any verb, from any role, whatever a session sets."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from runtime.postgres import array_literal
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.database.conftest import Connect
from tests.integration.database.rows import ROWS, TENANTS, seed
from tests.integration.database.test_catalogue import queries

# What a worker may read across tenants: it moves records between PostgreSQL and Kafka before it knows whose they are.
WORKERS_TRANSPORT = {
    "public.outbox_events",
    "public.parked_keys",
    "public.parked_messages",
    "public.waiting_messages",
}
# Tables with an identity column.
NUMBERED = {"public.effects", "public.outbox_events", "public.sys_case_data_store", "public.workflow_rule_deltas"}
SETTINGS = {"api": ("app.tenant", "t1"), "worker": ("app.tenants", "{t1}")}
REFUSED = asyncpg.InsufficientPrivilegeError


async def seeded(connect: Connect) -> asyncpg.Connection:
    owner = await connect("migrate")
    named = {row["name"] for row in await queries.list_columns(owner) if row["column_name"] == "tenant_id" and row["is_table"]}
    await seed(owner, named)
    return owner


def tables_of(role: str) -> Iterator[str]:
    yield from (table for table in ROWS if role == "api" or table not in WORKERS_TRANSPORT)


async def attempt(conn: asyncpg.Connection, statement: str, *arguments: Any) -> int:
    """How many rows a statement touched in a transaction that is rolled back; 0 when the role may not do it at all."""
    transaction = conn.transaction()
    await transaction.start()
    try:
        return len(await conn.fetch(statement, *arguments))
    except REFUSED:
        return 0
    finally:
        await transaction.rollback()


async def foreign_rows_reached(conn: asyncpg.Connection, owner: asyncpg.Connection, table: str) -> list[str]:
    """Verbs by which this session reaches t2's rows of a table (or makes one)."""
    named = [row for row in await queries.list_columns(owner) if row["name"] == table and not row["computed"]]
    columns = ", ".join(f'"{row["column_name"]}"' for row in named)
    overriding = "overriding system value" if table in NUMBERED else ""
    row = await owner.fetchrow(f"select {columns} from {table} where tenant_id = 't2'")
    places = ", ".join(f"${number + 1}" for number in range(len(row)))
    statements = {
        "select": (f"select tenant_id from {table} where tenant_id = 't2'", ()),
        "update": (f"update {table} set tenant_id = tenant_id where tenant_id = 't2' returning 1", ()),
        "delete": (f"delete from {table} where tenant_id = 't2' returning 1", ()),
        "insert": (f"insert into {table} ({columns}) {overriding} values ({places}) returning 1", tuple(row)),
        "give away": (f"update {table} set tenant_id = 't2' where tenant_id = 't1' returning 1", ()),
    }
    reached = []
    for verb, (statement, arguments) in statements.items():
        try:
            if await attempt(conn, statement, *arguments):
                reached.append(f"{table}: {verb}")
        except asyncpg.IntegrityConstraintViolationError:
            # Row level security is checked before any constraint: whoever comes so far was let through.
            reached.append(f"{table}: {verb}")
    return reached


@pytest.mark.requirement("SP-8")
@pytest.mark.parametrize("role", ["api", "worker"])
async def test_no_verb_reaches_another_tenants_row(connect: Connect, role: str) -> None:
    owner, conn = await seeded(connect), await connect(role)  # type: ignore[arg-type]
    await conn.execute("select set_config($1, $2, false)", *SETTINGS[role])
    reached = [line for table in tables_of(role) for line in await foreign_rows_reached(conn, owner, table)]
    assert reached == []


@pytest.mark.requirement("SP-8")
async def test_the_matrix_would_find_a_policy_that_lets_through(connect: Connect) -> None:
    """The negative control: one policy without its condition, one role past row level security."""
    owner, conn = await seeded(connect), await connect("api")
    await conn.execute("select set_config('app.tenant', 't1', false)")
    await owner.execute("alter policy users_api on users using (true)")
    assert await foreign_rows_reached(conn, owner, "public.users") == [
        f"public.users: {verb}" for verb in ("select", "update", "insert", "give away")
    ]
    assert len(await foreign_rows_reached(owner, owner, "public.teams")) == 5


@pytest.mark.requirement("SP-8")
@pytest.mark.parametrize("role", ["api", "worker"])
async def test_an_own_row_is_reached(connect: Connect, role: str) -> None:
    await seeded(connect)
    conn = await connect(role)  # type: ignore[arg-type]
    await conn.execute("select set_config($1, $2, false)", *SETTINGS[role])
    for table in ("tenants", "users", "work_items", "projections.work_item_board__v1"):
        assert await conn.fetchval(f"select array_agg(distinct tenant_id) from {table}") == ["t1"]


@pytest.mark.requirement("SP-8")
@pytest.mark.parametrize("role", ["api", "worker"])
@pytest.mark.parametrize("unset", ["never set", "set and reset", "empty", "ended with its transaction"])
async def test_without_a_tenant_there_are_no_rows_and_no_error(connect: Connect, role: str, unset: str) -> None:
    owner, conn = await seeded(connect), await connect(role)  # type: ignore[arg-type]
    name, value = SETTINGS[role]
    if unset == "set and reset":
        await conn.execute("select set_config($1, $2, false)", name, value)
        await conn.execute(f"reset {name}")
    elif unset == "empty":
        await conn.execute("select set_config($1, '', false)", name)
    elif unset == "ended with its transaction":
        async with conn.transaction():
            await conn.execute("select set_config($1, $2, true)", name, value)
    grants = {(row["name"], row["role"]) for row in await queries.list_grants(owner) if row["verb"] == "select"}
    for table in tables_of(role):
        if (table, f"cs_{role}") in grants:
            assert await conn.fetchval(f"select count(*) from {table}") == 0, table


@pytest.mark.requirement("SP-8")
async def test_a_worker_sees_exactly_the_tenants_of_its_batch(connect: Connect) -> None:
    await seeded(connect)
    conn = await connect("worker")
    for batch in (["t1"], ["t1", "t2"], ["t2", "absent"], ["absent"], [], ['t"1', "{t1}", "t1,t2"]):
        await conn.execute("select set_config('app.tenants', $1, false)", array_literal(batch))
        seen = [row["tenant_id"] for row in await conn.fetch("select tenant_id from users order by 1")]
        assert seen == sorted(set(batch) & set(TENANTS))


@pytest.mark.requirement("SP-8")
async def test_the_two_settings_are_not_interchangeable(connect: Connect) -> None:
    await seeded(connect)
    api, worker = await connect("api"), await connect("worker")
    await api.execute("select set_config('app.tenants', '{t1,t2}', false)")
    await worker.execute("select set_config('app.tenant', 't1', false)")
    assert await api.fetchval("select count(*) from users") == 0
    assert await worker.fetchval("select count(*) from users") == 0


async def rows_that_leaked(database: ClonedDatabase, transactions: int) -> int:
    """Alternating tenants over few pooled connections, some transactions failing half way; counts foreign rows."""
    chooser = random.Random(7)
    async with asyncpg.create_pool(database.url("api"), min_size=2, max_size=4) as pool:

        async def one(tenant: str, fails: bool, unset: bool) -> int:
            async with pool.acquire() as conn:
                try:
                    async with conn.transaction():
                        if not unset:
                            await conn.execute("select set_config('app.tenant', $1, true)", tenant)
                        rows = await conn.fetch("select tenant_id from users")
                        if fails:
                            raise asyncpg.PostgresError
                except asyncpg.PostgresError:
                    pass
                outside = await conn.fetchval("select count(*) from users")
            return int(outside) + sum(unset or row["tenant_id"] != tenant for row in rows)

        leaked = 0
        for _ in range(transactions // 20):
            choices = [(chooser.choice(TENANTS), chooser.random() < 0.2, chooser.random() < 0.1) for _ in range(20)]
            leaked += sum(await asyncio.gather(*(one(*choice) for choice in choices)))
        return leaked


@pytest.mark.requirement("SP-8")
async def test_pooled_connections_leak_no_tenant(connect: Connect, database: ClonedDatabase) -> None:
    await seeded(connect)
    assert await rows_that_leaked(database, transactions=10_000) == 0


@pytest.mark.requirement("SP-8")
async def test_audit_log_and_history_are_append_only(connect: Connect) -> None:
    owner = await seeded(connect)
    for statement in ("update audit_log set actor = 'x'", "delete from audit_log", "truncate audit_log"):
        with pytest.raises(REFUSED, match="append-only"):
            await owner.execute(statement)
    conn = await connect("api")
    await conn.execute("select set_config('app.tenant', 't1', false)")
    for statement in ("update work_item_state_history set note = 'x'", "delete from work_item_state_history"):
        with pytest.raises(REFUSED):
            await conn.execute(statement)
