"""`casestream ddl`: what the owner role was asked to do with table versions, and its approval by hash.

`approve` connects as cs_migrate: approving is the right of whoever has that password, in no process that answers requests.
"""

import asyncio
import getpass
from typing import Annotated, Any

import asyncpg
import typer

from projections.ddl_orders import approve as approve_hash
from projections.ddl_orders import queries
from runtime.cli import operating, output
from runtime.postgres import role_url
from runtime.settings import Settings
from schemas.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="Orders to the owner role: list, show, approve.")

_COLUMNS = ("kind", "name", "version", "state", "sha256", "requested_by", "approved_by", "attempts", "error")
_Hash = Annotated[str, typer.Argument(help="SHA-256 of the statements, as `list` shows it.")]


@app.command("list")
def list_(
    state: Annotated[str | None, typer.Option(help="waiting, approved, executed or refused; all when absent.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, newest first.")] = 50,
) -> None:
    """Orders to make, switch and retire table versions."""

    async def work(_: Settings, pool: asyncpg.Pool) -> Any:
        return await operating.read(pool, lambda conn: queries.list_orders(conn, state=state, most=limit))

    output.show_rows(operating.run(work), columns=_COLUMNS)


@app.command()
def show(sha256: _Hash) -> None:
    """The statements that wait under a hash, and nothing else: read them before you approve."""

    async def work(_: Settings, pool: asyncpg.Pool) -> Any:
        return await operating.read(pool, lambda conn: queries.find_orders_by_hash(conn, sha256=sha256))

    rows = operating.run(work)
    if not rows:
        raise NotFound(f"no statement with hash {sha256[:80]} waits for approval: `casestream ddl list` shows what does")
    print(rows[0]["statement"], end="")


@app.command()
def approve(sha256: _Hash) -> None:
    """Let the ddl job run the statements of this hash. Audited."""

    async def act() -> list[str]:
        conn = await asyncpg.connect(role_url(Settings.load(), "migrate"))
        try:
            async with conn.transaction():
                return await approve_hash(conn, sha256, by=f"cli:{getpass.getuser()}")
        finally:
            await conn.close()

    output.show_rows({"approved": label} for label in asyncio.run(act()))
