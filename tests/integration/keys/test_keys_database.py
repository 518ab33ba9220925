"""The keys database: who gets in, what its role may do, and that no wrapped key is anywhere else."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from runtime import migrations
from runtime.keys.ring import KeyRing
from runtime.stack.roles import KEYS_SQL
from schemas import erasure
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.keys.conftest import provider

REFUSED = asyncpg.InsufficientPrivilegeError


@pytest.fixture
async def owner(keys_database: ClonedDatabase) -> AsyncIterator[asyncpg.Connection]:
    conn = await asyncpg.connect(keys_database.url("migrate"))
    yield conn
    await conn.close()


@pytest.mark.parametrize("role", ["api", "worker", "scan"])
async def test_no_role_of_the_main_database_gets_in(keys_database: ClonedDatabase, role: str) -> None:
    with pytest.raises(REFUSED):
        await asyncpg.connect(keys_database.url(role))  # type: ignore[arg-type]


async def test_the_role_of_keys_sees_nothing_of_the_main_database(
    database: ClonedDatabase, keys_database: ClonedDatabase
) -> None:
    conn = await asyncpg.connect(database.url("keys"))
    try:
        with pytest.raises(REFUSED):
            await conn.fetch("select * from public.tenants")
    finally:
        await conn.close()


@pytest.mark.parametrize(
    "statement",
    [
        "update data_keys set subject_id = 'another'",
        "update data_keys set key_id = gen_random_uuid()",
        "truncate data_keys",
        "update shredded_subjects set reason = 'another'",
        "delete from shredded_subjects",
        "truncate shredded_subjects",
        "create table t ()",
        "delete from schema_migrations",
    ],
)
async def test_the_role_of_keys_may_do_only_what_keys_need(keys_pool: asyncpg.Pool, statement: str) -> None:
    with pytest.raises(REFUSED):
        await keys_pool.execute(statement)


async def test_not_even_the_owner_forgets_a_shred(owner: asyncpg.Connection) -> None:
    await owner.execute(
        "insert into shredded_subjects (tenant_id, subject_id, shred_id, requested_by, reason)"
        " values ('t', 's', gen_random_uuid(), 'x', 'y')"
    )
    for statement in (
        "delete from shredded_subjects",
        "update shredded_subjects set reason = 'z'",
        "truncate shredded_subjects",
    ):
        with pytest.raises(REFUSED):
            await owner.execute(statement)


async def test_every_table_is_behind_row_security_with_one_policy_for_one_role(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        """select c.relname, c.relrowsecurity and c.relforcerowsecurity as forced,
                  (select array_agg(r.rolname::text) from pg_policy p, unnest(p.polroles) o join pg_roles r on r.oid = o
                   where p.polrelid = c.oid) as roles
           from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace order by 1"""
    )
    assert [tuple(row) for row in rows if row["relname"] != "schema_migrations"] == [
        ("data_keys", True, ["cs_keys"]),
        ("shredded_subjects", True, ["cs_keys"]),
    ]


async def test_every_column_of_text_says_how_it_is_erased(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        """select table_name, column_name from information_schema.columns
           where table_schema = 'public' and data_type in ('text', 'jsonb', 'bytea', 'ARRAY')"""
    )
    found = {f"{row['table_name']}.{row['column_name']}" for row in rows}
    declared = {f"{table}.{column}" for table, columns in erasure.KEYS_COLUMNS.items() for column in columns}
    assert found == declared


async def test_its_role_has_the_time_limits_of_every_other(owner: asyncpg.Connection) -> None:
    limits = await owner.fetch("select rolname, rolconfig from pg_roles where rolname in ('cs_keys', 'cs_worker')")
    assert len({tuple(sorted(row["rolconfig"])) for row in limits}) == 1


async def test_its_role_script_may_run_again(keys_database: ClonedDatabase, keys_pool: asyncpg.Pool) -> None:
    conn = await asyncpg.connect(keys_database.url("superuser"))
    try:
        await conn.execute(KEYS_SQL.read_text())
    finally:
        await conn.close()
    assert await keys_pool.fetchval("select count(*) from data_keys") == 0


async def test_its_migrations_have_numbers_of_their_own(owner: asyncpg.Connection) -> None:
    assert await migrations.pending(owner, migrations.KEYS_DIRECTORY) == []
    assert [row["number"] for row in await migrations.applied_rows(owner)] == list(
        range(1, len(migrations.read_migrations(migrations.KEYS_DIRECTORY)) + 1)
    )


@pytest.mark.requirement("CD-2", "trap-84")
async def test_a_wrapped_key_opens_only_in_its_own_row(keys_pool: asyncpg.Pool, ring: KeyRing) -> None:
    await ring.current([("acme", "an")])
    wrapped = await keys_pool.fetchval("select wrapped from data_keys")
    assert len(wrapped) == 1 + 12 + 32 + 16
    assert provider().kek_id == "kek-1"
