"""`casestream incident`: what a person must see, across tenants. Reads and resolves as cs_scan, which sees all of them.

Kinds that can be tried again are in domain.operations.retries; every other incident says its cure.
"""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import typer

from domain.incidents.resolve import list_incidents, resolve_incidents, retry_incident, show_incident
from domain.operations.retries import RETRIES
from runtime.cli import output
from runtime.cli.exits import ExitCode
from runtime.postgres import open_pool
from runtime.settings import Settings
from schemas.errors import Rejected

app = typer.Typer(no_args_is_help=True, help="Incidents: list, show, resolve, retry.")

_LINE = ("incident_id", "tenant_id", "kind", "object_id", "summary", "state", "seen_count", "first_seen", "last_seen")


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only of this kind.")] = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Resolved ones instead of open ones.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
) -> None:
    """Newest sighting first."""
    state = "resolved" if resolved else "open"
    page = _within(lambda conn: list_incidents(conn, tenant_id=tenant, kind=kind, state=state, page_size=limit))
    output.show_rows(page.rows, columns=_LINE)
    if page.next:
        output.remark(f"there are more than {limit}; see --limit")


@app.command()
def show(incident_id: UUID) -> None:
    """Everything about one, its cure too."""
    output.show_record(_within(lambda conn: show_incident(conn, incident_id)))


@app.command()
def resolve(
    incident_ids: list[UUID],
    reason: Annotated[str, typer.Option(help="What was done; kept in the audit log.")],
) -> None:
    """Close incidents whose trouble is over. If it is not, the next sighting opens another."""
    actor = getpass.getuser()
    done = _within(lambda conn: resolve_incidents(conn, incident_ids, resolved_by=actor, resolution=reason))
    output.show_rows({"incident_id": incident_id, "resolved": incident_id in done} for incident_id in incident_ids)
    if len(done) < len(set(incident_ids)):
        raise typer.Exit(ExitCode.PARTLY if done else ExitCode.FAILED)


@app.command()
def retry(incident_id: UUID) -> None:
    """Order the work behind an incident once more, where its kind can be retried."""
    said = _within(lambda conn: retry_incident(conn, incident_id, actor=getpass.getuser(), handlers=RETRIES))
    if isinstance(said, Rejected):
        output.remark(f"casestream: {said.code}: {said.message}")
        raise typer.Exit(ExitCode.FAILED)
    output.show_record({"incident_id": incident_id, "said": said})


def _within(act: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        pool = await open_pool(Settings.load(), "scan", size=1, wait=False)
        try:
            async with pool.acquire() as conn, conn.transaction():
                return await act(conn)
        finally:
            pool.terminate()

    return asyncio.run(run())
