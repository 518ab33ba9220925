"""`casestream instance dashboard | reason | cancel | retry | mark-compensated | ...`: what operators see and order.

The same orders as under /admin/onboarding, with the same audit entries; the person at the terminal acts as admin.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from domain.onboarding import overview, supervising
from domain.onboarding.engine import Engine
from domain.onboarding.reasons import read_reason
from domain.onboarding.turn import Decided, Outcome
from runtime.cli import operating, output
from runtime.cli.exits import ExitCode
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
