"""No process starts on a schema behind its code; each role can ask, and is told the command that mends it."""

from typing import get_args

import asyncpg
import pytest

from runtime.postgres import Role
from runtime.running.schema import ask_schema
from runtime.settings import Settings
from schemas.errors import ConfigurationError
from tests.infrastructure.databases import ClonedDatabase


def settings(database: ClonedDatabase) -> Settings:
    return Settings.load({"DATABASE_URL": database.url("migrate"), "KAFKA_BOOTSTRAP_SERVERS": "localhost:1"})


@pytest.mark.parametrize("role", get_args(Role))
async def test_every_role_sees_that_the_schema_is_at_head(database: ClonedDatabase, role: Role) -> None:
    assert await ask_schema(settings(database), role) == []


async def test_a_missing_and_a_changed_migration_are_named(database: ClonedDatabase) -> None:
    conn = await asyncpg.connect(database.url("superuser"))
    await conn.execute("delete from schema_migrations where number = (select max(number) from schema_migrations)")
    await conn.execute("update schema_migrations set checksum = 'other' where number = 1")
    await conn.close()

    behind, changed = await ask_schema(settings(database), "worker")

    assert "lacks 1 migration(s)" in behind
    assert "casestream db migrate" in behind
    assert "0001_" in changed


async def test_a_newer_schema_is_no_obstacle(database: ClonedDatabase) -> None:
    conn = await asyncpg.connect(database.url("superuser"))
    await conn.execute("insert into schema_migrations (number, name, checksum) values (9999, '9999_next.sql', 'x')")
    await conn.close()

    assert await ask_schema(settings(database), "worker") == []


async def test_an_empty_database_is_behind_by_everything(database: ClonedDatabase) -> None:
    conn = await asyncpg.connect(database.url("superuser"))
    await conn.execute("drop table schema_migrations")
    await conn.close()

    (problem,) = await ask_schema(settings(database), "scan")

    assert "first 0001_" in problem


async def test_a_login_that_postgresql_refuses_is_named(database: ClonedDatabase) -> None:
    wrong = settings(database).model_copy(
        update={"database_url_worker": "postgresql://nobody:x@" + database.url().split("@")[1]}
    )

    with pytest.raises(ConfigurationError, match=r"roles\.sql"):
        await ask_schema(wrong, "worker")
