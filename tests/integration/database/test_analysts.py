"""Analysts: the login decides which tenants a session reads, and nothing that the session sets changes that."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from domain.directory.analysts import add_analyst, queries, remove_analyst
from runtime.scram import verifier
from schemas.errors import NotFound, Rejected
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.database.conftest import Connect

PASSWORD = "correct horse battery staple"
REFUSED = asyncpg.InsufficientPrivilegeError


@pytest.fixture
async def owner(connect: Connect, postgres_server: str) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection, in a database with a row of the board for two tenants. Logins belong to the server."""
    conn = await connect("migrate")
    for tenant in ("t1", "t2"):
        await conn.execute("insert into tenants (tenant_id, name) values ($1, $1)", tenant)
        await conn.execute(
            "insert into projections.work_item_board__v1 (tenant_id, work_item_id, status, status_since, last_change_at,"
            " version, ce_source, ce_sequence) values ($1, 'w', 'open', now(), now(), 1, 's', 1)",
            tenant,
        )
    yield conn
    for row in await queries.list_analysts(conn):
        await conn.execute(f'drop role "{row["login"]}"')


@asynccontextmanager
async def session(database: ClonedDatabase, login: str, password: str = PASSWORD) -> AsyncIterator[asyncpg.Connection]:
    parts = urlsplit(database.url("migrate"))
    host = parts.netloc.rpartition("@")[2]
    url = urlunsplit(parts._replace(netloc=f"{login}:{quote(password, safe='')}@{host}"))
    conn = await asyncpg.connect(url)
    try:
        yield conn
    finally:
        await conn.close()


async def tenants_seen(conn: asyncpg.Connection) -> list[str]:
    return [row["tenant_id"] for row in await conn.fetch("select tenant_id from analytics.work_item_board order by 1")]


@pytest.mark.hole("analyst-tenant-by-login")
@pytest.mark.requirement("SP-8")
async def test_an_analyst_sees_the_tenants_of_the_login(database: ClonedDatabase, owner: asyncpg.Connection) -> None:
    assert await add_analyst(owner, "ann", "t1", PASSWORD, "root") is None
    assert await add_analyst(owner, "bob", "t1", PASSWORD, "root") is None
    assert await add_analyst(owner, "bob", "t2", None, "root") is None
    async with session(database, "ann") as conn:
        assert await tenants_seen(conn) == ["t1"]
        assert await conn.fetchval("select count(*) from projections.work_item_board__v1 where tenant_id = 't2'") == 0
    async with session(database, "bob") as conn:
        assert await tenants_seen(conn) == ["t1", "t2"]


@pytest.mark.hole("analyst-tenant-by-login")
@pytest.mark.requirement("SP-8")
@pytest.mark.parametrize(
    "trick",
    [
        "set app.tenant = 't2'",
        "set app.tenants = '{t1,t2}'",
        "select set_config('app.tenant', 't2', false), set_config('app.tenants', '{t2}', false)",
        "set role cs_analyst",
        "set search_path = pg_temp, public",
        "set row_security = on",
        "create temp table analyst_tenants as select 't2' as tenant_id, 'ann'::text as role_name",
        "create function pg_temp.app_tenant() returns text language sql return 't2'",
    ],
)
async def test_no_setting_widens_what_an_analyst_sees(database: ClonedDatabase, owner: asyncpg.Connection, trick: str) -> None:
    await add_analyst(owner, "ann", "t1", PASSWORD, "root")
    async with session(database, "ann") as conn:
        await conn.execute(trick)
        assert await tenants_seen(conn) == ["t1"]


@pytest.mark.hole("analyst-tenant-by-login")
async def test_a_policy_on_a_setting_would_be_no_protection(database: ClonedDatabase, owner: asyncpg.Connection) -> None:
    """The negative control: what the rule forbids, tried."""
    await add_analyst(owner, "ann", "t1", PASSWORD, "root")
    await owner.execute("alter policy analyst on projections.work_item_board__v1 using (tenant_id = app_tenant())")
    async with session(database, "ann") as conn:
        await conn.execute("set app.tenant = 't2'")
        assert await tenants_seen(conn) == ["t2"]


@pytest.mark.hole("analyst-tenant-by-login")
@pytest.mark.requirement("SP-8")
async def test_an_analyst_reads_the_board_and_nothing_else(database: ClonedDatabase, owner: asyncpg.Connection) -> None:
    await add_analyst(owner, "ann", "t1", PASSWORD, "root")
    async with session(database, "ann") as conn:
        for statement in (
            "select * from tenants",
            "select * from public.tenants",
            "insert into public.analyst_tenants values ('t2', 'ann')",
            "select * from work_items",
            "select * from outbox_events",
            "update projections.work_item_board__v1 set status = 'closed'",
            "delete from projections.work_item_board__v1",
            "alter role ann bypassrls",
            "set role cs_migrate",
            "set row_security = off; select * from analytics.work_item_board",
            "create table public.mine ()",
            "create view analytics.mine as select 1",
        ):
            with pytest.raises((REFUSED, asyncpg.UndefinedTableError)):
                await conn.execute(statement)


async def test_taking_a_tenant_away_holds_at_once(database: ClonedDatabase, owner: asyncpg.Connection) -> None:
    await add_analyst(owner, "bob", "t1", PASSWORD, "root")
    await add_analyst(owner, "bob", "t2", None, "root")
    async with session(database, "bob") as conn:
        assert await remove_analyst(owner, "bob", "t2", "root") == ["t2"]
        assert await tenants_seen(conn) == ["t1"]
        assert await remove_analyst(owner, "bob", None, "root") == ["t1"]
        with pytest.raises(REFUSED):
            await tenants_seen(conn)
    with pytest.raises(asyncpg.InvalidPasswordError):
        async with session(database, "bob"):
            raise AssertionError("the login is gone")


async def test_every_change_is_audited(owner: asyncpg.Connection) -> None:
    await add_analyst(owner, "ann", "t1", PASSWORD, "root")
    await add_analyst(owner, "ann", "t1", None, "root")
    await remove_analyst(owner, "ann", None, "admin")
    rows = await owner.fetch("select tenant_id, actor, action, object_id from audit_log order by audit_id")
    assert [tuple(row) for row in rows] == [
        ("t1", "root", "analyst.added", "ann"),
        ("t1", "admin", "analyst.removed", "ann"),
    ]


async def test_a_password_is_replaced(database: ClonedDatabase, owner: asyncpg.Connection) -> None:
    await add_analyst(owner, "ann", "t1", PASSWORD, "root")
    await add_analyst(owner, "ann", "t1", PASSWORD[::-1], "root")
    async with session(database, "ann", PASSWORD[::-1]) as conn:
        assert await tenants_seen(conn) == ["t1"]
    with pytest.raises(asyncpg.InvalidPasswordError):
        async with session(database, "ann"):
            raise AssertionError("the old password still works")


@pytest.mark.parametrize(
    ("login", "password", "code"),
    [
        ("cs_api", PASSWORD, "InvalidLogin"),
        ("pg_monitor", PASSWORD, "InvalidLogin"),
        ('a"; drop table tenants; --', PASSWORD, "InvalidLogin"),
        ("Ann", PASSWORD, "InvalidLogin"),
        ("a" * 64, PASSWORD, "InvalidLogin"),
        ("", PASSWORD, "InvalidLogin"),
        ("ann\n", PASSWORD, "InvalidLogin"),
        ("postgres", PASSWORD, "LoginTaken"),
        ("ann", None, "PasswordMissing"),
        ("ann", "short", "WeakPassword"),
        ("ann", "mật khẩu rất dài", "WeakPassword"),
        ("ann", "with a\0 in it, long", "WeakPassword"),
    ],
)
async def test_a_bad_login_is_refused(owner: asyncpg.Connection, login: str, password: str | None, code: str) -> None:
    refusal = await add_analyst(owner, login, "t1", password, "root")
    assert isinstance(refusal, Rejected)
    assert refusal.code == code
    assert await queries.list_analysts(owner) == []


async def test_unknown_tenants_and_logins_are_not_found(owner: asyncpg.Connection) -> None:
    with pytest.raises(NotFound):
        await add_analyst(owner, "ann", "absent", PASSWORD, "root")
    with pytest.raises(NotFound):
        await remove_analyst(owner, "cs_api", None, "root")
    assert await queries.list_analysts(owner) == []


def test_a_verifier_is_the_standards() -> None:
    """The example of RFC 7677."""
    stored = verifier("pencil", b"[m\x99h\x9d\x125\x8e\xec\xa0K\x14\x126\xfa\x81")
    assert stored.startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$")
    assert stored.endswith("WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")


async def test_the_password_is_never_sent(owner: asyncpg.Connection) -> None:
    await add_analyst(owner, "ann", "t1", PASSWORD, "root")
    assert PASSWORD not in str(await owner.fetch("select query from pg_stat_activity"))
    rendered = await queries.render_create_login(owner, login="o'x", verifier=verifier(PASSWORD))
    assert PASSWORD not in rendered
    assert rendered.startswith('create role "o\'x" login')
