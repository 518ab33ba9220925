"""`casestream analyst`: the database logins of analysts and the tenants they read. Runs as cs_migrate."""

import asyncio
import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer

from domain.directory.analysts import add_analyst, queries, remove_analyst
from runtime.cli import output
from runtime.cli.exits import ExitCode
from runtime.postgres import role_url
from runtime.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Logins of analysts: add, list, remove.")

Login = Annotated[str, typer.Argument(help="Name of the database login.")]


@app.command()
def add(
    login: Login,
    tenant: Annotated[str, typer.Option(help="Tenant that the login may read; repeat the command for another.")],
    password_file: Annotated[
        Path | None, typer.Option(help="File whose first line is the password; needed for a new login.")
    ] = None,
) -> None:
    """Make a login of the group cs_analyst if there is none, and let it read a tenant."""
    password = None if password_file is None else password_file.read_text().partition("\n")[0].rstrip("\r")

    async def act() -> Any:
        async with _transaction() as conn:
            return await add_analyst(conn, login, tenant, password, getpass.getuser())

    refusal = asyncio.run(act())
    if refusal is not None:
        output.remark(f"casestream: {refusal.code}: {refusal.message}")
        raise typer.Exit(ExitCode.FAILED)
    output.show_record({"login": login, "tenant": tenant})


@app.command("list")
def list_() -> None:
    """Every analyst's login with its tenants."""

    async def act() -> Any:
        async with _transaction() as conn:
            return await queries.list_analysts(conn)

    output.show_rows(asyncio.run(act()))


@app.command()
def remove(
    login: Login, tenant: Annotated[str | None, typer.Option(help="Only this tenant; without, the login goes.")] = None
) -> None:
    """Take a tenant from a login, or drop the login with all its tenants."""

    async def act() -> Any:
        async with _transaction() as conn:
            return await remove_analyst(conn, login, tenant, getpass.getuser())

    output.show_record({"login": login, "taken": asyncio.run(act()), "dropped": tenant is None})


@asynccontextmanager
async def _transaction() -> AsyncIterator[asyncpg.Connection]:
    conn = await asyncpg.connect(role_url(Settings.load(), "migrate"))
    try:
        async with conn.transaction():
            yield conn
    finally:
        await conn.close()
