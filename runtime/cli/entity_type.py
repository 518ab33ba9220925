"""`casestream entity-type`: what a tenant decides about its entity types. Runs as cs_worker, within the tenant."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import asyncpg
import typer

from domain.entities import kinds
from domain.fields.paths import PathRefused, parse_path
from runtime.cli import output
from runtime.cli.exits import ExitCode
from runtime.postgres import open_pool, tenants_transaction
from runtime.settings import Settings
from schemas.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="Entity types of a tenant: put, list; which ones are managed here.")

OfTenant = Annotated[str, typer.Option("--tenant", help="The tenant's id.")]
PAGE = 1000


@app.command("put")
def put(
    entity_type: Annotated[str, typer.Argument(help="LEAD, OPPORTUNITY, or a name of your own")],
    tenant: OfTenant,
    managed: Annotated[bool, typer.Option("--managed/--unmanaged", help="Whether its entities are changed by commands only")],
    stage_field: Annotated[str | None, typer.Option(help="Where ChangeStage writes; left out: the built-in one")] = None,
    status_field: Annotated[str | None, typer.Option(help="Where ChangeStatus writes; left out: the built-in one")] = None,
    sensitive: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="A field whose values nobody is shown; repeat it. Left out: as they are"),
    ] = None,
    nothing_sensitive: Annotated[
        bool, typer.Option("--nothing-sensitive", help="Take the marks of sensitive fields away")
    ] = False,
) -> None:
    """Describe a type. Before a type becomes managed, its upstream must have stopped, and group entities have read it all."""
    marked = [] if nothing_sensitive else _readable(sensitive) if sensitive else None
    try:
        row = _within(
            tenant,
            lambda conn: kinds.put_kind(
                conn,
                tenant,
                entity_type,
                managed=managed,
                stage_field=stage_field,
                status_field=status_field,
                sensitive_fields=marked,
                actor=getpass.getuser(),
            ),
        )
    except asyncpg.ForeignKeyViolationError:
        output.remark(f"casestream: tenant {tenant} does not exist; import it first. Nothing was changed")
        raise typer.Exit(ExitCode.FAILED) from None
    output.show_record(row)


@app.command("list")
def list_(tenant: OfTenant) -> None:
    """The described types; any other one has the built-in fields and belongs to its upstream."""

    async def read(conn: Any) -> list[dict[str, Any]]:
        page = found = await kinds.list_kinds(conn, tenant, page_size=PAGE)
        while len(page) == PAGE:
            page = await kinds.list_kinds(conn, tenant, after=page[-1]["entity_type"], page_size=PAGE)
            found = found + page
        return found

    output.show_rows(_within(tenant, read))


def _readable(paths: Sequence[str]) -> list[str]:
    problems = list[str]()
    for path in paths:
        try:
            parse_path(path)
        except PathRefused as error:
            problems.append(f"--sensitive {path}: {error}")
    if problems:
        raise ConfigurationError(problems)
    return list(paths)


def _within(tenant: str, act: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        pool = await open_pool(Settings.load(), "worker", size=1, wait=False)
        try:
            async with tenants_transaction(pool, [tenant]) as conn:
                return await act(conn)
        finally:
            pool.terminate()

    return asyncio.run(run())
