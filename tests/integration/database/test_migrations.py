"""Migrations: append-only files, one migrator at a time, and what `casestream db` says about them."""

import asyncio
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from runtime import migrations
from schemas.errors import ConfigurationError
from tests.infrastructure.databases import ClonedDatabase

CASESTREAM = [sys.executable, "-c", "from runtime.cli import main; main()"]


@pytest.fixture
async def conn(empty_database: ClonedDatabase) -> AsyncIterator[asyncpg.Connection]:
    conn = await asyncpg.connect(empty_database.url("migrate"))
    yield conn
    await conn.close()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text("create table first (id int);")
    (tmp_path / "0002_second.sql").write_text("create table second (id int);")
    return tmp_path


async def test_pending_files_are_applied_once_and_in_order(conn: asyncpg.Connection, files: Path) -> None:
    assert [each.name for each in await migrations.migrate(conn, files)] == ["0001_first.sql", "0002_second.sql"]
    assert await migrations.migrate(conn, files) == []
    (files / "0003_third.sql").write_text("alter table first add name text;")
    assert [each.number for each in await migrations.pending(conn, files)] == [3]
    assert [each.number for each in await migrations.migrate(conn, files)] == [3]
    rows = await migrations.applied_rows(conn)
    assert [(row["number"], row["applied_by"]) for row in rows] == [(1, "cs_migrate"), (2, "cs_migrate"), (3, "cs_migrate")]


async def test_a_changed_applied_file_is_refused(conn: asyncpg.Connection, files: Path) -> None:
    await migrations.migrate(conn, files)
    (files / "0001_first.sql").write_text("create table first (id bigint);")
    (files / "0003_third.sql").write_text("create table third ();")
    with pytest.raises(ConfigurationError, match="was changed after it was applied"):
        await migrations.migrate(conn, files)
    assert await conn.fetchval("select to_regclass('third')") is None


async def test_a_vanished_file_is_refused(conn: asyncpg.Connection, files: Path) -> None:
    await migrations.migrate(conn, files)
    (files / "0002_second.sql").unlink()
    with pytest.raises(ConfigurationError, match="file is missing"):
        await migrations.pending(conn, files)


@pytest.mark.parametrize("name", ["3_third.sql", "0003-third.sql", "0004_fourth.sql", "0002_other.sql"])
def test_a_wrong_name_or_number_is_refused(files: Path, name: str) -> None:
    (files / name).write_text("")
    with pytest.raises(ConfigurationError, match="migrations/"):
        migrations.read_migrations(files)


async def test_a_failing_file_leaves_nothing_of_itself(conn: asyncpg.Connection, files: Path) -> None:
    (files / "0003_third.sql").write_text("create table third (); select 1 / 0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrations.migrate(conn, files)
    assert await conn.fetchval("select to_regclass('third')") is None
    assert [row["number"] for row in await migrations.applied_rows(conn)] == [1, 2]


@pytest.mark.requirement("SP-7")
async def test_two_migrators_at_once_apply_everything_once(empty_database: ClonedDatabase) -> None:
    done = await asyncio.gather(*(migrations.apply(empty_database.url("migrate")) for _ in range(4)))
    assert sorted(len(each) for each in done) == [0, 0, 0, len(migrations.read_migrations())]


async def test_only_the_owner_migrates(database: ClonedDatabase) -> None:
    for role in ("api", "worker", "scan"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await migrations.apply(database.url(role))  # type: ignore[arg-type]


async def test_the_plan_is_what_migrate_would_do(conn: asyncpg.Connection, files: Path) -> None:
    planned = await migrations.plan(conn, files)
    assert "create table second (id int);" in planned
    assert await migrations.applied(conn) == {}
    # Another program that runs the plan leaves the database as `migrate` would.
    await conn.execute(planned)
    assert await migrations.pending(conn, files) == []
    assert await migrations.plan(conn, files) == ""


def settings(database: ClonedDatabase) -> dict[str, str]:
    return {"DATABASE_URL": database.url("migrate"), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}


async def casestream(environ: dict[str, str], *words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *CASESTREAM,
        *words,
        env={"PATH": "/usr/bin:/bin", **environ},
        cwd=Path(__file__).resolve().parents[3],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_commands(empty_database: ClonedDatabase) -> None:
    environ = settings(empty_database)
    code, out, _ = await casestream(environ, "db", "status", "--output", "json")
    assert (code, "pending" in out) == (1, True)
    code, out, err = await casestream(environ, "db", "plan")
    assert (code, err) == (0, "")
    assert out.startswith("\ncreate table if not exists schema_migrations")
    code, _, err = await casestream(environ, "db", "wait", "--seconds", "4")
    assert (code, "migrations pending" in err) == (3, True), err
    assert (await casestream(environ, "db", "migrate"))[0] == 0
    assert (await casestream(environ, "db", "wait"))[0] == 0
    code, out, _ = await casestream(environ, "db", "status", "--output", "json")
    assert (code, "pending" in out, "applied" in out) == (0, False, True)
    assert (await casestream(environ, "db", "plan"))[1] == ""


async def test_waiting_for_a_database_that_is_away_ends(tmp_path: Path) -> None:
    environ = {"DATABASE_URL": "postgresql://x:y@127.0.0.1:1/z", "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    code, _, err = await casestream(environ, "db", "wait", "--seconds", "0.3")
    assert (code, "no answer" in err) == (3, True)


async def test_an_analyst_is_added_by_command(database: ClonedDatabase, tmp_path: Path) -> None:
    conn = await asyncpg.connect(database.url("migrate"))
    await conn.execute("insert into tenants (tenant_id, name) values ('t1', 'n')")
    password = tmp_path / "password"
    password.write_text("correct horse battery staple\n")
    environ = settings(database)
    try:
        add = ("analyst", "add", "carol", "--tenant", "t1")
        assert (await casestream(environ, *add))[0] == 1
        assert (await casestream(environ, *add, "--password-file", str(password)))[0] == 0
        code, out, _ = await casestream(environ, "analyst", "list", "--output", "jsonl")
        assert (code, '{"login":"carol","tenants":["t1"]}' in out) == (0, True)
        assert (await casestream(environ, "analyst", "remove", "carol"))[0] == 0
    finally:
        await conn.execute("drop role if exists carol")
        await conn.close()


TAKES_AWAY = re.compile(
    r"\b(drop\s+(column|table|schema)|rename\s+(column|to)\b|alter\s+(column\s+)?\w+\s+(set\s+data\s+)?type\b|truncate\s+table)",
    re.IGNORECASE,
)


def without_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*", "", sql)


@pytest.mark.requirement("trap-62")
def test_migrations_only_add_to_tables() -> None:
    """Programs of the release before this one run on, and a replay finds every column it ever filled."""
    for migration in migrations.read_migrations():
        assert TAKES_AWAY.search(without_comments(migration.sql)) is None, migration.name


@pytest.mark.requirement("trap-62")
@pytest.mark.parametrize(
    "statement",
    [
        "alter table work_items drop column note",
        "drop table users",
        "alter table work_items rename column note to remark",
        "alter table work_items rename to items",
        "ALTER TABLE work_items ALTER COLUMN note TYPE varchar(10)",
        "alter table work_items alter note set data type text",
    ],
)
def test_a_statement_that_takes_away_is_found(statement: str) -> None:
    assert TAKES_AWAY.search(statement)


def test_the_files_of_the_project_are_in_order(tmp_path: Path) -> None:
    assert len(migrations.read_migrations()) >= 4
    shutil.copytree(migrations.DIRECTORY, tmp_path / "copy")
    (tmp_path / "copy" / "0001_again.sql").write_text("")
    with pytest.raises(ConfigurationError):
        migrations.read_migrations(tmp_path / "copy")
