"""`casestream tenant | user | team`: the directory from the command line. Runs as cs_worker, tenant by tenant.

An import takes all lines or none: with one wrong line it names every wrong line and changes nothing.
"""

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import asyncpg
import typer
from pydantic import ValidationError

from domain.directory import people
from domain.directory.entries import Entry, Line, TeamEntry, TenantEntry, UserEntry, read_entries
from domain.directory.people import Kind
from runtime.cli import output
from runtime.cli.exits import ExitCode
from runtime.postgres import Role, open_pool, tenants_transaction
from runtime.settings import Settings

tenant = typer.Typer(no_args_is_help=True, help="Tenants of the directory.")
user = typer.Typer(no_args_is_help=True, help="Users and their roles.")
team = typer.Typer(no_args_is_help=True, help="Teams and their members.")

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV with a header, or .jsonl; lists in CSV by `;`.")]
OfTenant = Annotated[str, typer.Option("--tenant", help="The tenant's id.")]
Ids = Annotated[list[str], typer.Argument(help="One or several ids.")]

PAGE = 1000


@tenant.command("add")
def add_tenant(
    tenant_id: str,
    name: Annotated[str, typer.Option(help="Its name; the id when left out.")] = "",
    zone: Annotated[str, typer.Option(help="Its time zone, such as Asia/Ho_Chi_Minh.")] = "UTC",
    holiday: Annotated[list[str] | None, typer.Option(help="A date; may be repeated.")] = None,
) -> None:
    """Add a tenant, or change its name, zone and holidays."""
    _put([_entry(TenantEntry, tenant_id=tenant_id, name=name or tenant_id, zone=zone, holidays=holiday or [])])


@user.command("add")
def add_user(
    user_id: str,
    tenant: OfTenant,
    name: Annotated[str, typer.Option(help="The name on the screen; the id when left out.")] = "",
    role: Annotated[list[str] | None, typer.Option(help="viewer, agent, supervisor, admin ...; may be repeated.")] = None,
) -> None:
    """Add a user, or change name and roles."""
    _put([_entry(UserEntry, tenant_id=tenant, user_id=user_id, display_name=name or user_id, roles=role or [])])


@team.command("add")
def add_team(
    team_id: str,
    tenant: OfTenant,
    name: Annotated[str, typer.Option(help="Its name; the id when left out.")] = "",
    member: Annotated[list[str] | None, typer.Option(help="A user to add; may be repeated.")] = None,
) -> None:
    """Add a team, or change its name; add members."""
    _put([_entry(TeamEntry, tenant_id=tenant, team_id=team_id, name=name or team_id, member_ids=member or [])])


@tenant.command("import")
def import_tenants(file: File) -> None:
    """Columns: tenant_id, name, zone, holidays."""
    _import(file, TenantEntry)


@user.command("import")
def import_users(file: File) -> None:
    """Columns: tenant_id, user_id, display_name, roles, active."""
    _import(file, UserEntry)


@team.command("import")
def import_teams(file: File) -> None:
    """Columns: tenant_id, team_id, name, member_ids."""
    _import(file, TeamEntry)


@tenant.command("list")
def list_tenants() -> None:
    """Every tenant."""

    async def page(conn: Any, after: str | None) -> list[dict[str, Any]]:
        return await people.list_tenants(conn, after=after, page_size=PAGE)

    # Only the scanning role sees all tenants.
    output.show_rows(_pages(page, "tenant_id", [], role="scan"))


@user.command("list")
def list_users(
    tenant: OfTenant,
    team: Annotated[str | None, typer.Option(help="Only members of this team.")] = None,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Only those.")] = None,
) -> None:
    """A tenant's users."""

    async def page(conn: Any, after: str | None) -> list[dict[str, Any]]:
        return await people.list_users(conn, tenant, team_id=team, active=active, after=after, page_size=PAGE)

    output.show_rows(_pages(page, "user_id", [tenant]))


@team.command("list")
def list_teams(tenant: OfTenant) -> None:
    """A tenant's teams with their members."""

    async def page(conn: Any, after: str | None) -> list[dict[str, Any]]:
        return await people.list_teams(conn, tenant, after=after, page_size=PAGE)

    output.show_rows(_pages(page, "team_id", [tenant]))


@tenant.command("activate")
def activate_tenants(ids: Ids) -> None:
    """Let tenants get new work items again."""
    _switch_tenants(ids, active=True)


@tenant.command("deactivate")
def deactivate_tenants(ids: Ids) -> None:
    """Give tenants no new work items; those they have go on."""
    _switch_tenants(ids, active=False)


@user.command("activate")
def activate_users(ids: Ids, tenant: OfTenant) -> None:
    """Let users be assigned again."""
    _switch("user", tenant, ids, active=True)


@user.command("deactivate")
def deactivate_users(ids: Ids, tenant: OfTenant) -> None:
    """Let nothing more be assigned to users; what they have they keep."""
    _switch("user", tenant, ids, active=False)


@team.command("activate")
def activate_teams(ids: Ids, tenant: OfTenant) -> None:
    """Switch teams on."""
    _switch("team", tenant, ids, active=True)


@team.command("deactivate")
def deactivate_teams(ids: Ids, tenant: OfTenant) -> None:
    """Switch teams off."""
    _switch("team", tenant, ids, active=False)


def _entry(model: type[Entry], **fields: Any) -> Entry:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        _refuse([f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors(include_url=False)])


def _import(file: Path, model: type[Entry]) -> None:
    entries, problems = read_entries(file, model)
    if problems:
        _refuse([*problems[:50], f"{file.name}: {len(problems)} problem(s); nothing was imported"])
    _put(entries)


def _put(entries: Sequence[Line]) -> None:
    tenants = sorted({entry.tenant_id for entry in entries})
    try:
        _within(tenants, lambda conn: _PUT[type(entries[0])](conn, entries, actor=getpass.getuser()) if entries else _none())
    except asyncpg.ForeignKeyViolationError as error:
        # The constraint says which; PostgreSQL's own sentence would quote the row.
        missing = "member is no user" if "user" in str(error.constraint_name) else "tenant does not exist"
        _refuse([f"a named {missing}; import it first. Nothing was imported"])
    output.show_record({"imported": len(entries), "tenants": len(tenants)})


async def _none() -> None:
    """An empty file is no mistake."""


def _switch_tenants(ids: Sequence[str], *, active: bool) -> None:
    for tenant_id in ids:
        _switch("tenant", tenant_id, [tenant_id], active=active)


def _switch(kind: Kind, tenant_id: str, ids: Sequence[str], *, active: bool) -> None:
    done: list[str] = _within(
        [tenant_id], lambda conn: people.set_active(conn, kind, tenant_id, ids, active, actor=getpass.getuser())
    )
    missing = sorted(set(ids) - set(done))
    if missing:
        _refuse([f"{kind} {name} does not exist in tenant {tenant_id}" for name in missing])
    output.show_rows({"kind": kind, "tenant": tenant_id, "id": name, "active": active} for name in done)


def _pages(
    page: Callable[[Any, str | None], Awaitable[list[dict[str, Any]]]],
    key: str,
    tenants: Sequence[str],
    *,
    role: Role = "worker",
) -> list[dict[str, Any]]:
    async def read(conn: Any) -> list[dict[str, Any]]:
        rows = await page(conn, None)
        found = rows
        while len(rows) == PAGE:
            rows = await page(conn, rows[-1][key])
            found = found + rows
        return found

    return _within(tenants, read, role=role)  # type: ignore[no-any-return]


def _within(tenants: Sequence[str], act: Callable[[Any], Awaitable[Any]], *, role: Role = "worker") -> Any:
    async def run() -> Any:
        pool = await open_pool(Settings.load(), role, size=1, wait=False)
        try:
            async with tenants_transaction(pool, tenants) as conn:
                return await act(conn)
        finally:
            pool.terminate()

    return asyncio.run(run())


def _refuse(lines: Sequence[str]) -> NoReturn:
    for line in lines:
        output.remark(f"casestream: {line}")
    raise typer.Exit(ExitCode.FAILED)


_PUT: dict[type, Callable[..., Awaitable[None]]] = {
    TenantEntry: people.put_tenants,
    UserEntry: people.put_users,
    TeamEntry: people.put_teams,
}
