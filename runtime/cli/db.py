"""`casestream db`: the migrations of the main database and of the keys database. Runs as cs_migrate."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Annotated

import asyncpg
import typer

from projections.versions import create_missing_versions
from runtime import migrations
from runtime.cli import output
from runtime.cli.exits import ExitCode
from runtime.keys.database import keys_migrate_url
from runtime.postgres import TRANSIENT, role_url
from runtime.settings import Settings
from schemas.errors import ConfigurationError, TransientError

app = typer.Typer(no_args_is_help=True, help="Migrations: migrate, status, plan, wait.")

_POLL_SECONDS = 0.2


class Database(StrEnum):
    """The two databases; a command without `--database` means both."""

    MAIN = "main"
    KEYS = "keys"


DIRECTORIES = {Database.MAIN: migrations.DIRECTORY, Database.KEYS: migrations.KEYS_DIRECTORY}
_Only = Annotated[Database | None, typer.Option("--database", help="Only this one; both when absent.")]


@app.command()
def migrate(database: _Only = None) -> None:
    """Apply what is pending, each file in a transaction of its own; then create registered table versions that are missing.

    Twice, or two at once, is harmless.
    """

    async def act() -> list[str]:
        done: list[str] = []
        for one in _chosen(database):
            async with _connection(one) as conn:
                done += [f"{_prefix(one)}{m.name}" for m in await migrations.migrate(conn, DIRECTORIES[one])]
                if one is Database.MAIN:
                    async with conn.transaction():
                        done += await create_missing_versions(conn)
        return done

    done = asyncio.run(act())
    output.show_rows({"applied": name} for name in done)
    output.remark(f"{len(done)} applied")


@app.command()
def status(database: _Only = None) -> None:
    """Every migration with when and by whom it was applied. Exit code 1 while some are pending."""
    rows = [row for one in _chosen(database) for row in asyncio.run(_status(one))]
    output.show_rows(rows)
    if any(row["state"] == "pending" for row in rows):
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def plan(
    database: Annotated[Database, typer.Option("--database", help="Whose migrations.")] = Database.MAIN,
) -> None:
    """Print the SQL of what is pending, and nothing else: for review, or for a DBA to run. Changes nothing."""

    async def act() -> str:
        async with _connection(database) as conn:
            return await migrations.plan(conn, DIRECTORIES[database])

    print(asyncio.run(act()), end="")


@app.command()
def wait(
    seconds: Annotated[float, typer.Option(help="At most so long, for each.", min=0)] = 60.0, database: _Only = None
) -> None:
    """Wait until the databases answer and nothing is pending: what other processes do before they start."""
    for one in _chosen(database):
        asyncio.run(_wait(one, seconds))
    output.remark("the database is ready")


def _chosen(database: Database | None) -> list[Database]:
    return list(Database) if database is None else [database]


def _prefix(database: Database) -> str:
    return "keys/" if database is Database.KEYS else ""


async def _status(database: Database) -> list[dict[str, object]]:
    async with _connection(database) as conn:
        todo = await migrations.pending(conn, DIRECTORIES[database])
        pending: dict[str, object] = {"applied_at": None, "applied_by": None, "state": "pending"}
        rows: list[dict[str, object]] = [
            *({**row, "state": "applied"} for row in await migrations.applied_rows(conn)),
            *({"number": m.number, "name": m.name, **pending} for m in todo),
        ]
        return [{"database": database.value, **row} for row in rows]


async def _wait(database: Database, seconds: float) -> None:
    deadline, found = time.monotonic() + seconds, ""
    while True:
        try:
            async with asyncio.timeout(max(deadline - time.monotonic(), _POLL_SECONDS)), _connection(database) as conn:
                pending = await migrations.pending(conn, DIRECTORIES[database])
            if not pending:
                return
            found = f"{len(pending)} migrations pending"
        except TimeoutError:
            # The deadline cut this attempt short: what an earlier one found says more.
            found = found or "no answer in time"
        except (*TRANSIENT, asyncpg.PostgresError) as error:
            found = f"no answer ({type(error).__name__})"
        if time.monotonic() >= deadline:
            raise TransientError(
                f"the {database} database was not ready within {seconds:g} s: {found}; see `casestream db status`"
            )
        await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def _connection(database: Database) -> AsyncIterator[asyncpg.Connection]:
    settings = Settings.load()
    if database is Database.MAIN:
        conn = await asyncpg.connect(role_url(settings, "migrate"))
    else:
        conn = await _keys_connection(settings)
    try:
        yield conn
    finally:
        await conn.close()


async def _keys_connection(settings: Settings) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(keys_migrate_url(settings))
    except asyncpg.InvalidCatalogNameError as error:
        cure = "create it and run deploy/database/keys.sql in it (`casestream up` does), or name it: KEYS_DATABASE_URL"
        raise ConfigurationError([f"there is no keys database: {cure}"]) from error
