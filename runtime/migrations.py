"""Plain SQL migrations: append-only, numbered, checksummed, applied under one advisory lock (docs/decisions/0002).

Owns `schema_migrations` of both databases: the main one and, from `migrations/keys/`, the keys database, each with its own
numbers and its own lock (an advisory lock is a database's). Each file runs in a transaction of its own together with its
record. A changed or vanished applied file is refused: history is never rewritten.
"""

import hashlib
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import asyncpg

from runtime.sql import Connection
from schemas.errors import ConfigurationError

DIRECTORY = Path(__file__).resolve().parent.parent / "migrations"
KEYS_DIRECTORY = DIRECTORY / "keys"
_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_LOCK = 0x6361_7365  # "case": any two migrators of one database meet here

_CREATE = """
create table if not exists schema_migrations (
    number     integer primary key,
    name       text not null,
    checksum   text not null,
    applied_at timestamptz not null default statement_timestamp(),
    applied_by text not null default session_user
);
-- Every process looks whether the schema is at head before it starts.
grant select on schema_migrations to {readers}"""
_READERS = {KEYS_DIRECTORY: "cs_keys"}


# Names and checksums are of [0-9a-z_.] only (`_NAME`), so they need no quoting.
_PLANNED = """
-- {name}, sha256 {checksum}
begin;
{sql_text}
insert into schema_migrations (number, name, checksum) values ({number}, '{name}', '{checksum}');
commit;
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `checksum` is over its bytes."""

    number: int
    name: str
    sql: str
    checksum: str


def read_migrations(directory: Path = DIRECTORY) -> list[Migration]:
    """All files in order. Raises ConfigurationError: a wrong name, a repeated or missing number."""
    migrations, problems = [], []
    for path in sorted(directory.glob("*.sql")):
        match = _NAME.match(path.name)
        if match is None:
            problems.append(f"{_shown(directory)}{path.name}: expected a name like 0001_what_it_does.sql")
            continue
        content = path.read_bytes()
        migrations.append(Migration(int(match[1]), path.name, content.decode(), hashlib.sha256(content).hexdigest()))
    numbers = [migration.number for migration in migrations]
    if numbers != list(range(1, len(numbers) + 1)):
        problems.append(f"{_shown(directory)}: numbers must run 1, 2, 3 ... without gap or repetition, found {numbers}")
    if problems:
        raise ConfigurationError(problems)
    return migrations


def _shown(directory: Path) -> str:
    return "migrations/keys/" if directory == KEYS_DIRECTORY else "migrations/"


async def applied(conn: Connection) -> dict[int, tuple[str, str]]:
    """What the database has: number -> (name, checksum); empty for a new database."""
    if await conn.fetchval("select to_regclass('schema_migrations')") is None:
        return {}
    return {row["number"]: (row["name"], row["checksum"]) for row in await conn.fetch("select * from schema_migrations")}


async def applied_rows(conn: asyncpg.Connection) -> list[dict[str, Any]]:
    """What was applied, when and by whom, in order."""
    if not await applied(conn):
        return []
    return [
        dict(row)
        for row in await conn.fetch("select number, name, applied_at, applied_by from schema_migrations order by number")
    ]


async def pending(conn: asyncpg.Connection, directory: Path = DIRECTORY) -> list[Migration]:
    """Files not yet applied. Raises ConfigurationError when an applied file changed or vanished."""
    done, files = await applied(conn), read_migrations(directory)
    known = {migration.number: migration for migration in files}
    problems = [_mismatch(number, name, checksum, known.get(number)) for number, (name, checksum) in sorted(done.items())]
    if any(problems):
        raise ConfigurationError([problem for problem in problems if problem])
    return [migration for migration in files if migration.number not in done]


def _mismatch(number: int, name: str, checksum: str, file: Migration | None) -> str | None:
    if file is None:
        return f"migration {number} ({name}) is applied but its file is missing: this release is older than the database"
    if file.checksum != checksum:
        return f"migration {file.name} was changed after it was applied: restore the file and write a new migration"
    return None


async def migrate(conn: asyncpg.Connection, directory: Path = DIRECTORY) -> list[Migration]:
    """Apply what is pending, as the owner role; returns what was applied. Two at once: the second finds nothing to do."""
    await conn.execute("select pg_advisory_lock($1)", _LOCK)
    try:
        await conn.execute(_create(directory))
        todo = await pending(conn, directory)
        for migration in todo:
            async with conn.transaction():
                await conn.execute(migration.sql)
                await conn.execute(
                    "insert into schema_migrations (number, name, checksum) values ($1, $2, $3)",
                    migration.number,
                    migration.name,
                    migration.checksum,
                )
        return todo
    finally:
        await conn.execute("select pg_advisory_unlock($1)", _LOCK)


def _create(directory: Path) -> str:
    return _CREATE.format(readers=_READERS.get(directory, "cs_api, cs_worker, cs_scan"))


async def plan(conn: asyncpg.Connection, directory: Path = DIRECTORY) -> str:
    """The SQL that `migrate` would run, for review or for another program to run as the owner; empty when none is due."""
    todo = await pending(conn, directory)
    parts = [_PLANNED.format(**asdict(migration), sql_text=migration.sql.rstrip()) for migration in todo]
    return f"{_create(directory)};\n" + "".join(parts) if parts else ""


async def apply(url: str, directory: Path = DIRECTORY) -> list[Migration]:
    """Connect as the owner (role cs_migrate) and migrate."""
    conn = await asyncpg.connect(url)
    try:
        return await migrate(conn, directory)
    finally:
        await conn.close()
