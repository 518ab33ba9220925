"""`casestream instance dashboard | reason | cancel | retry | migrate | mark-compensated | ...`: what operators see and order.

The same orders as under /admin/onboarding, with the same audit entries; the person at the terminal acts as admin.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from domain.onboarding import migrating, overview, supervising
from domain.onboarding.engine import Engine
from domain.onboarding.reasons import read_reason
from domain.onboarding.turn import Decided, Outcome
from runtime.cli import operating, output
from runtime.cli.exits import ExitCode
from runtime.cli.flow import mapping_of
from runtime.cli.instance import Reason, Which, Within, app, with_engine
from runtime.cli.rule_access import OfTenant, within
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.errors import ConfigurationError, Rejected
from schemas.onboarding import ApproveCompensationInput, CancelInstance, MarkCompensated, ProposeCompensationInput

__all__ = ["app"]


@app.command("dashboard")
def dashboard(tenant: OfTenant) -> None:
    """What is under way and where, what ended within a day, recoveries and incidents per hour."""
    output.show_record(within(tenant, lambda conn, _: overview.dashboard(conn, tenant)))


@app.command("reason")
def reason_of(
    which: Which,
    tenant: OfTenant,
    number: Annotated[int, typer.Argument(min=1, help="Number of the event, from `timeline`.")],
    why: Annotated[str, typer.Option("--reason", help="Why you read it; goes to the audit log.")],
) -> None:
    """Why somebody ordered or decided something, as he wrote it."""

    async def work(in_tenant: Within, engine: Engine) -> dict[str, Any] | Rejected:
        async with in_tenant() as conn:
            return await read_reason(conn, engine.keys, terminal(tenant), which, number, why)

    found = asyncio.run(with_engine(tenant, work))
    if isinstance(found, Rejected):
        refuse(found)
    else:
        output.show_record(found)


@app.command("cancel")
def cancel(which: Which, tenant: OfTenant, reason: Reason) -> None:
    """End an instance; what it did is compensated."""
    _ordered(tenant, CancelInstance(instance_id=which, reason=reason))


@app.command("retry")
def retry(which: Which, tenant: OfTenant, reason: Reason) -> None:
    """Let a step that became an incident, or a compensation that failed, try again with all its retries."""
    told(give(tenant, lambda conn, engine: supervising.retry(conn, engine, terminal(tenant), which, reason)))


@app.command("mark-compensated")
def mark_compensated(which: Which, tenant: OfTenant, reason: Reason) -> None:
    """The step was undone by hand, and the way back goes on."""
    _ordered(tenant, MarkCompensated(instance_id=which, reason=reason))


@app.command("propose-input")
def propose_input(
    which: Which,
    tenant: OfTenant,
    reason: Reason,
    file: Annotated[Path, typer.Option("--file", help="JSON object: what the compensation gets instead.")],
) -> None:
    """Other input for a compensation that failed; another operator must approve it."""
    try:
        data: Any = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError([f"--file {file}: {type(error).__name__}; expected a JSON object"]) from None
    if not isinstance(data, dict):
        raise ConfigurationError([f"--file {file}: expected a JSON object"])
    _ordered(tenant, ProposeCompensationInput(instance_id=which, reason=reason, data=data))


@app.command("approve-input")
def approve_input(
    which: Which, tenant: OfTenant, proposal: Annotated[int, typer.Argument(min=1, help="Its number, from `show`.")]
) -> None:
    """Run the compensation with the proposed input."""
    _ordered(tenant, ApproveCompensationInput(instance_id=which, proposal=proposal))


@app.command("migrate")
def migrate(
    tenant: OfTenant,
    reason: Reason,
    flow: Annotated[str, typer.Option(help="The flow's name.")],
    old: Annotated[int, typer.Option("--from", min=1, help="The version that they follow.")],
    new: Annotated[int, typer.Option("--to", min=1, help="The version that they shall follow.")],
    states: Annotated[
        list[str] | None, typer.Option("--map", metavar="OLD=NEW", help="Where a state has another name; may be repeated.")
    ] = None,
    execute: Annotated[bool, typer.Option("--execute", help="Move them; without it nothing is written.")] = False,
) -> None:
    """Move what has not ended to another version of its flow. Exit code 1 when some stay, each with its reason."""
    ordered = migrating.Migration(flow, old, new, mapping_of(states or []), reason)
    moved = asyncio.run(with_engine(tenant, lambda in_tenant, engine: _migrated(in_tenant, engine, tenant, ordered, execute)))
    if isinstance(moved, Rejected):
        refuse(moved)
    columns = ("instance_id", "result", "state", "code", "message")
    output.show_rows([asdict(one) for one in moved], columns=columns)
    counts = Counter(one.result for one in moved)
    output.remark(f"{counts['moved']} moved, {counts['fits']} would move, {counts['stays']} stay")
    if not execute:
        output.remark("nothing was written; add --execute")
    if counts["stays"]:
        raise typer.Exit(ExitCode.FAILED)


async def _migrated(
    in_tenant: Within, engine: Engine, tenant: str, ordered: migrating.Migration, execute: bool
) -> list[migrating.Moved] | Rejected:
    """Page by page, each in a transaction of its own: what was moved stays moved, whatever happens behind it."""
    caller, after, found = terminal(tenant), None, list[migrating.Moved]()
    while True:
        if execute:
            async with in_tenant() as conn:
                await migrating.warm_page(conn, engine, tenant, ordered, after=after)
        async with in_tenant() as conn:
            go = migrating.move_page if execute else migrating.try_page
            page = await go(conn, engine, caller, ordered, after=after)
        if isinstance(page, Rejected):
            return page
        found += page.moved
        if page.next is None:
            return found
        after = page.next


def terminal(tenant: str) -> Caller:
    """The person at the terminal."""
    return Caller(tenant, operating.actor(), frozenset({"admin"}), "CRM_UI")


def give(tenant: str, order: Callable[[Connection, Engine], Awaitable[Outcome]]) -> Outcome:
    """One order in one transaction of the tenant."""

    async def work(in_tenant: Within, engine: Engine) -> Outcome:
        async with in_tenant() as conn:
            return await order(conn, engine)

    return asyncio.run(with_engine(tenant, work))


def told(outcome: Outcome) -> None:
    """Where the instance stands now, or why not; exit code 1 for a refusal."""
    if isinstance(outcome, Rejected):
        refuse(outcome)
    instance = outcome.instance
    changed = isinstance(outcome, Decided)
    output.show_record({"instance": instance.id, "status": instance.status, "state": instance.state, "changed": changed})


def refuse(rejected: Rejected) -> NoReturn:
    """A business "no" and exit code 1."""
    output.remark(f"casestream: {rejected.code}: {rejected.message}")
    raise typer.Exit(ExitCode.FAILED)


def _ordered(tenant: str, command: supervising.Order) -> None:
    told(give(tenant, lambda conn, engine: supervising.order(conn, engine, terminal(tenant), command)))
