"""Plain SQL migrations: append-only, numbered, checksummed, applied under one advisory lock (docs/decisions/0002).

Owns `schema_migrations`. Each file runs in a transaction of its own together with its record. A changed or vanished applied
file is refused: history is never rewritten.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from schemas.errors import ConfigurationError

DIRECTORY = Path(__file__).resolve().parent.parent / "migrations"
_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_LOCK = 0x6361_7365  # "case": any two migrators of one database meet here

_CREATE = """
create table if not exists schema_migrations (
    number     integer primary key,
    name       text not null,
    checksum   text not null,
    applied_at timestamptz not null default statement_timestamp(),
    applied_by text not null default session_user
)"""


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
            problems.append(f"migrations/{path.name}: expected a name like 0001_what_it_does.sql")
            continue
        content = path.read_bytes()
        migrations.append(Migration(int(match[1]), path.name, content.decode(), hashlib.sha256(content).hexdigest()))
    numbers = [migration.number for migration in migrations]
    if numbers != list(range(1, len(numbers) + 1)):
        problems.append(f"migrations/: numbers must run 1, 2, 3 ... without gap or repetition, found {numbers}")
    if problems:
        raise ConfigurationError(problems)
    return migrations


async def applied(conn: asyncpg.Connection) -> dict[int, tuple[str, str]]:
    """What the database has: number -> (name, checksum); empty for a new database."""
    if await conn.fetchval("select to_regclass('schema_migrations')") is None:
        return {}
    return {row["number"]: (row["name"], row["checksum"]) for row in await conn.fetch("select * from schema_migrations")}


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
        await conn.execute(_CREATE)
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


async def apply(url: str, directory: Path = DIRECTORY) -> list[Migration]:
    """Connect as the owner (role cs_migrate) and migrate."""
    conn = await asyncpg.connect(url)
    try:
        return await migrate(conn, directory)
    finally:
        await conn.close()
