"""What the login roles may do, and the time limits that a takeover relies on."""

import asyncpg
import pytest

from tests.infrastructure.databases import Role
from tests.integration.database.conftest import Connect

PRODUCTION: tuple[Role, ...] = ("api", "worker", "scan")
LIMITS = {
    "idle_in_transaction_session_timeout": "4s",
    "statement_timeout": "5s",
    "transaction_timeout": "8s",
    "tcp_user_timeout": "5s",
    "client_connection_check_interval": "1s",
}
REFUSED = asyncpg.InsufficientPrivilegeError


@pytest.mark.hole("takeover-timeouts")
@pytest.mark.requirement("SP-7")
@pytest.mark.parametrize("role", PRODUCTION)
async def test_a_production_role_has_time_limits(connect: Connect, role: Role) -> None:
    owner = await connect("migrate")
    options = await owner.fetchval("select rolconfig from pg_roles where rolname = $1", f"cs_{role}")
    assert dict(option.split("=") for option in options) == LIMITS
    # tcp_user_timeout cannot be shown over a unix socket, so the session is asked for the others.
    conn = await connect(role)
    for name in LIMITS.keys() - {"tcp_user_timeout"}:
        assert await conn.fetchval("select current_setting($1)", name) == LIMITS[name]


@pytest.mark.hole("takeover-timeouts")
async def test_the_owner_has_none_of_them(connect: Connect) -> None:
    conn = await connect("migrate")
    assert await conn.fetchval("select rolconfig from pg_roles where rolname = 'cs_migrate'") is None
    assert await conn.fetchval("select current_setting('statement_timeout')") == "0"


@pytest.mark.hole("takeover-timeouts")
async def test_the_locks_of_a_sleeping_owner_end(connect: Connect) -> None:
    """A member that stops in mid-transaction holds its offsets' rows; the next owner gets them when the limit strikes."""
    dead, heir = await connect("worker"), await connect("worker")
    begin = "insert into consumer_offsets (group_name, topic, partition, next) values ('g', 't', 0, 0)"
    await heir.execute(begin)
    await dead.execute("set idle_in_transaction_session_timeout = '200ms'")
    await dead.execute("begin")
    await dead.execute("update consumer_offsets set next = 1")
    await heir.execute("set lock_timeout = '3s'")
    assert await heir.fetchval("update consumer_offsets set epoch = epoch + 1 returning epoch") == 1
    assert await heir.fetchval("select next from consumer_offsets") == 0


@pytest.mark.hole("takeover-timeouts")
async def test_without_the_limit_the_heir_waits_in_vain(connect: Connect) -> None:
    dead, heir = await connect("worker"), await connect("worker")
    await heir.execute("insert into consumer_offsets (group_name, topic, partition, next) values ('g', 't', 0, 0)")
    await dead.execute("set idle_in_transaction_session_timeout = 0; set transaction_timeout = 0")
    await dead.execute("begin")
    await dead.execute("update consumer_offsets set next = 1")
    await heir.execute("set lock_timeout = '500ms'")
    with pytest.raises(asyncpg.LockNotAvailableError):
        await heir.execute("update consumer_offsets set epoch = epoch + 1")


@pytest.mark.requirement("SP-8")
@pytest.mark.parametrize("role", PRODUCTION)
async def test_a_production_role_is_no_owner_and_makes_nothing(connect: Connect, role: Role) -> None:
    conn = await connect(role)
    row = await conn.fetchrow("select * from pg_roles where rolname = current_user")
    assert not any(row[right] for right in ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb", "rolreplication"))
    for statement in (
        "create or replace function cs_now() returns timestamptz language sql stable return '2000-01-01'::timestamptz",
        "create or replace function app_tenant() returns text language sql stable return 't2'",
        "alter function cs_now() rename to cs_then",
        "drop function cs_now()",
        "create function public.cs_now(integer) returns timestamptz language sql return now()",
        "create schema mine",
        "create table public.mine ()",
        "alter table users disable row level security",
        "alter table users no force row level security",
        "drop policy users_api on users",
        "create policy mine on users using (true)",
        "set role cs_migrate",
        "set session authorization cs_migrate",
        "truncate work_items",
        "alter role cs_api bypassrls",
        "insert into schema_migrations (number, name, checksum) values (99, 'x', 'x')",
        "select pg_read_file('/etc/passwd')",
    ):
        with pytest.raises((REFUSED, asyncpg.InvalidParameterValueError)):
            await conn.execute(statement)


@pytest.mark.requirement("SP-8")
async def test_a_production_role_cannot_pass_its_rights_on(connect: Connect) -> None:
    """PostgreSQL answers such a grant with a warning, not with an error."""
    owner, conn = await connect("migrate"), await connect("api")
    await conn.execute("grant select on users to public; grant select on users to cs_scan")
    assert not await owner.fetchval("select has_table_privilege('cs_scan', 'users', 'select')")


@pytest.mark.requirement("SP-8")
async def test_a_function_of_a_sessions_own_does_not_stand_in_for_the_clock(connect: Connect) -> None:
    """Temporary schemas are never searched for functions, so a shadow of cs_now() or app_tenant() is never called."""
    owner, conn = await connect("migrate"), await connect("api")
    await owner.execute("insert into tenants (tenant_id, name) values ('t1', 'n'), ('t2', 'n')")
    await conn.execute("select set_config('app.tenant', 't1', false)")
    await conn.execute("create function pg_temp.app_tenant() returns text language sql return 't2'")
    await conn.execute("create function pg_temp.cs_now() returns timestamptz language sql return '2000-01-01'::timestamptz")
    await conn.execute("set search_path = pg_temp, public")
    assert await conn.fetchval("select array_agg(tenant_id) from tenants") == ["t1"]
    assert await conn.fetchval("select cs_now() > '2020-01-01'")


async def test_a_test_databases_owner_may_shift_the_clock(connect: Connect) -> None:
    owner, conn = await connect("migrate"), await connect("api")
    shifted = "statement_timestamp() + interval '1 day'"
    await owner.execute(
        f"create or replace function cs_now() returns timestamptz language sql stable parallel safe return {shifted}"
    )
    assert await conn.fetchval("select cs_now() - statement_timestamp() = interval '1 day'")


@pytest.mark.requirement("SP-2")
async def test_the_relays_role_reads_the_debezium_view(connect: Connect) -> None:
    owner, scan = await connect("migrate"), await connect("scan")
    await owner.execute(
        "insert into outbox_events (event_id, tenant_id, shard, aggregate, aggregate_id, topic, event_type, headers,"
        """ payload, occurred_at, created_by) values (gen_random_uuid(), 't', 3, 'work_item', 'w', 'topic', 'T', '[]',"""
        """ '{"a": 1}', now(), 'u')"""
    )
    row = await scan.fetchrow("select aggregatetype, aggregateid, type, payload from outbox_debezium")
    assert tuple(row) == ("work_item", "w", "T", '{"a": 1}')


@pytest.mark.hole("relay-size-check")
@pytest.mark.requirement("SP-1")
async def test_an_event_that_a_broker_might_refuse_fails_in_its_writers_transaction(connect: Connect) -> None:
    conn = await connect("api")
    await conn.execute("select set_config('app.tenant', 't', false)")
    insert = (
        "insert into outbox_events (event_id, tenant_id, shard, aggregate, aggregate_id, topic, key, event_type, headers,"
        " payload, occurred_at, created_by) values (gen_random_uuid(), 't', 0, 'a', 'i', 't', $1, 'T', $2, $3, now(), 'u')"
    )
    await conn.execute(insert, b"k" * 100, b"h" * 100, b"p" * 899_800)
    with pytest.raises(asyncpg.CheckViolationError, match="outbox_event_size"):
        await conn.execute(insert, b"k" * 100, b"h" * 100, b"p" * 899_801)
