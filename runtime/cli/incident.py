"""`casestream incident`: what a person must see, across tenants. Reads and resolves as cs_scan, which sees all of them.

Kinds that can be tried again are in domain.operations.retries; every other incident says its cure.
"""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import typer

from domain.incidents.resolve import list_incidents, resolve_incidents, retry_incident, show_incident
from domain.onboarding import troubles
from domain.onboarding.engine import Engine
from domain.onboarding.turn import Outcome
from domain.operations.retries import RETRIES
from runtime.cli import output
from runtime.cli.exits import ExitCode
from runtime.cli.instance import Within, with_engine
from runtime.cli.instance_orders import terminal
from runtime.cli.rule_access import OfTenant
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


@app.command("retry-all")
def retry_all(
    tenant: OfTenant,
    fingerprint: Annotated[str, typer.Option(help="The cause, as `instance dashboard` shows it.")],
    reason: Annotated[str, typer.Option(help="Why; sealed in each history.")],
    kind: Annotated[troubles.Kind, typer.Option(help="What failed.")] = "step-failed",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
) -> None:
    """Retry every onboarding with this trouble, each by itself; a line for each says what became of it. Exit code 1 when none
    was retried, 4 when some were."""

    async def work(within: Within, engine: Engine) -> list[troubles.Tried]:
        async def alone(order: troubles.Ordered) -> Outcome:
            async with within() as conn:
                return await order(conn)

        async with within() as conn:
            rows = await troubles.list_alike(conn, tenant, kind=kind, fingerprint=fingerprint, size=limit)
        return await troubles.retry_all(rows, alone, engine, terminal(tenant), reason)

    tried = asyncio.run(with_engine(tenant, work))
    output.show_rows([asdict(one) for one in tried])
    done = sum(one.result == "retried" for one in tried)
    if done < len(tried):
        raise typer.Exit(ExitCode.PARTLY if done else ExitCode.FAILED)


def _within(act: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        pool = await open_pool(Settings.load(), "scan", size=1, wait=False)
        try:
            async with pool.acquire() as conn, conn.transaction():
                return await act(conn)
        finally:
            pool.terminate()

    return asyncio.run(run())
