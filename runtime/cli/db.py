"""`casestream db`: the database's migrations. Runs as cs_migrate."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import asyncpg
import typer

from projections.versions import create_missing_versions
from runtime import migrations
from runtime.cli import output
from runtime.cli.exits import ExitCode
from runtime.postgres import TRANSIENT, role_url
from runtime.settings import Settings
from schemas.errors import TransientError

app = typer.Typer(no_args_is_help=True, help="Migrations: migrate, status, plan, wait.")

_POLL_SECONDS = 0.2


@app.command()
def migrate() -> None:
    """Apply what is pending, each file in a transaction of its own; then create registered table versions that are missing.

    Twice, or two at once, is harmless.
    """

    async def act() -> list[str]:
        async with _connection() as conn:
            done = [migration.name for migration in await migrations.migrate(conn)]
            async with conn.transaction():
                return done + await create_missing_versions(conn)

    done = asyncio.run(act())
    output.show_rows({"applied": name} for name in done)
    output.remark(f"{len(done)} applied")


@app.command()
def status() -> None:
    """Every migration with when and by whom it was applied. Exit code 1 while some are pending."""
    rows = asyncio.run(_status())
    output.show_rows(rows)
    if any(row["state"] == "pending" for row in rows):
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def plan() -> None:
    """Print the SQL of what is pending, and nothing else: for review, or for a DBA to run. Changes nothing."""

    async def act() -> str:
        async with _connection() as conn:
            return await migrations.plan(conn)

    print(asyncio.run(act()), end="")


@app.command()
def wait(seconds: Annotated[float, typer.Option(help="At most so long.", min=0)] = 60.0) -> None:
    """Wait until the database answers and nothing is pending: what other processes do before they start."""
    asyncio.run(_wait(seconds))
    output.remark("the database is ready")


async def _status() -> list[dict[str, object]]:
    async with _connection() as conn:
        todo = await migrations.pending(conn)
        return [
            *({**row, "state": "applied"} for row in await migrations.applied_rows(conn)),
            *({"number": m.number, "name": m.name, "applied_at": None, "applied_by": None, "state": "pending"} for m in todo),
        ]


async def _wait(seconds: float) -> None:
    deadline, found = time.monotonic() + seconds, ""
    while True:
        try:
            async with asyncio.timeout(max(deadline - time.monotonic(), _POLL_SECONDS)), _connection() as conn:
                pending = await migrations.pending(conn)
            if not pending:
                return
            found = f"{len(pending)} migrations pending"
        except TimeoutError:
            # The deadline cut this attempt short: what an earlier one found says more.
            found = found or "no answer in time"
        except (*TRANSIENT, asyncpg.PostgresError) as error:
            found = f"no answer ({type(error).__name__})"
        if time.monotonic() >= deadline:
            raise TransientError(f"the database was not ready within {seconds:g} s: {found}; see `casestream db status`")
        await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def _connection() -> AsyncIterator[asyncpg.Connection]:
    conn = await asyncpg.connect(role_url(Settings.load(), "migrate"))
    try:
        yield conn
    finally:
        await conn.close()
