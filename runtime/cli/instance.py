"""`casestream instance list | show | timeline | replay | cancel | retry`: journeys of a tenant.

Runs as cs_api within one tenant. Nothing that a person said is opened or printed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer

from domain.onboarding import reads
from domain.onboarding.commands import Engine, give
from domain.onboarding.definitions import FollowedFlows, released_flows
from domain.onboarding.replaying import Checked, replay_instance
from domain.onboarding.turn import Decided, Outcome
from domain.outbox import Outbox
from runtime.cli import operating, output
from runtime.cli.exits import ExitCode
from runtime.cli.rule_access import OfTenant, within
from runtime.keys.ring import open_key_ring
from runtime.postgres import open_pool
from runtime.settings import Settings
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.onboarding import CancelInstance, Command, RetryCompensation, RetryStep

app = typer.Typer(no_args_is_help=True, help="Onboarding: instances, their histories, and what operators do with them.")

Answer = TypeVar("Answer")
Which = Annotated[str, typer.Argument(metavar="INSTANCE", help="The instance's id.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the history.")]
_LISTED = ("instance_id", "flow", "flow_version", "user_id", "status", "current_state", "version", "started_at", "expires_at")


@app.command("list")
def list_instances(
    tenant: OfTenant,
    status: Annotated[str | None, typer.Option(help="Only with this status, such as ACTIVE.")] = None,
    page: Annotated[int, typer.Option(min=0, help="From 0.")] = 0,
    size: Annotated[int, typer.Option(min=1, max=1_000)] = 50,
) -> None:
    """The tenant's instances, newest first."""
    rows = within(tenant, lambda conn, _: reads.list_instances(conn, tenant, status=status, page=page, size=size))
    output.show_rows(rows, columns=_LISTED)


@app.command("show")
def show(which: Which, tenant: OfTenant) -> None:
    """One instance and every attempt of its steps."""

    async def work(conn: Connection, _: Settings) -> dict[str, Any]:
        return {**await reads.get_instance(conn, tenant, which), "attempts": await reads.list_attempts(conn, tenant, which)}

    output.show_record(within(tenant, work))


@app.command("timeline")
def timeline(
    which: Which,
    tenant: OfTenant,
    after: Annotated[int, typer.Option(min=0, help="Only what came after this number.")] = 0,
    size: Annotated[int, typer.Option(min=1, max=10_000)] = 200,
) -> None:
    """What happened, in order, in lanes: user, system, timer, effect, compensation."""

    async def work(conn: Connection, _: Settings) -> list[dict[str, Any]]:
        await reads.get_instance(conn, tenant, which)
        return await reads.timeline(conn, tenant, which, after=after, size=size)

    output.show_rows(within(tenant, work), columns=("number", "at", "lane", "type", "says"))


@app.command("replay")
def replay(which: Which, tenant: OfTenant) -> None:
    """Decide the instance's history again; runs no handler. Exit code 1 and the first divergence when it is another one."""

    async def work(conn: Connection, _: Settings) -> Checked:
        return await replay_instance(conn, FollowedFlows(released_flows()), tenant, which)

    found = within(tenant, work)
    divergence = found.replayed.divergence
    output.show_record(
        {
            "instance": which,
            "events": found.replayed.events,
            "decisions": found.replayed.decisions,
            "sound": found.sound,
            "row": "is not the fold of its history" if found.row_differs else "is the fold of its history",
            "divergence": None
            if divergence is None
            else {
                "number": divergence.number,
                "command": divergence.command,
                "expected": divergence.expected,
                "found": divergence.found,
                "field": divergence.field,
            },
        }
    )
    if not found.sound:
        raise typer.Exit(ExitCode.FAILED)


@app.command("cancel")
def cancel(which: Which, tenant: OfTenant, reason: Reason) -> None:
    """End an instance; what it did is compensated."""
    _told(_given(tenant, CancelInstance(instance_id=which, reason=reason)))


@app.command("retry")
def retry(which: Which, tenant: OfTenant, reason: Reason) -> None:
    """Let a step that became an incident, or a compensation that failed, try again with all its retries."""

    async def work(conn: Connection, _: Settings) -> str:
        return str((await reads.get_instance(conn, tenant, which))["status"])

    failed_back = within(tenant, work) == "COMPENSATION_FAILED"
    command = RetryCompensation if failed_back else RetryStep
    _told(_given(tenant, command(instance_id=which, reason=reason)))


def _given(tenant: str, command: Command) -> Outcome:
    caller = Caller(tenant, operating.actor(), frozenset({"admin"}), "CRM_UI")

    async def work(conn: Connection, engine: Engine) -> Outcome:
        return await give(conn, engine, caller, command)

    return asyncio.run(_with_engine(tenant, work))


async def _with_engine(tenant: str, act: Callable[[Connection, Engine], Awaitable[Answer]]) -> Answer:
    settings = Settings.load()
    async with open_key_ring(settings, wait=False) as keys:
        pool = await open_pool(settings, "api", size=1, wait=False)
        try:
            async with pool.acquire() as conn, conn.transaction():
                await conn.execute("select set_config('app.tenant', $1, true)", tenant)
                return await act(conn, Engine(Outbox(settings.ce_source), keys, FollowedFlows(released_flows())))
        finally:
            pool.terminate()


def _told(outcome: Outcome) -> None:
    if isinstance(outcome, Rejected):
        output.remark(f"casestream: {outcome.code}: {outcome.message}")
        raise typer.Exit(ExitCode.FAILED)
    instance = outcome.instance
    changed = isinstance(outcome, Decided)
    output.show_record({"instance": instance.id, "status": instance.status, "state": instance.state, "changed": changed})
