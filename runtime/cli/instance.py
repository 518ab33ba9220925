"""`casestream instance list | show | timeline | replay`: journeys of a tenant. What is ordered of them: `instance_orders`.

Runs as cs_api within one tenant. Nothing that a person said is opened or printed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, TypeVar

import typer

from domain.onboarding import reads
from domain.onboarding.definitions import FollowedFlows, released_flows
from domain.onboarding.detail import detail_of
from domain.onboarding.engine import Engine
from domain.onboarding.replaying import Gathered, gather, judge
from runtime.cli import output
from runtime.cli.effect_kinds import engine_of
from runtime.cli.exits import ExitCode
from runtime.cli.rule_access import OfTenant, within
from runtime.keys.ring import open_key_ring
from runtime.postgres import open_pool
from runtime.settings import Settings
from runtime.sql import Connection

app = typer.Typer(no_args_is_help=True, help="Onboarding: instances, their histories, and what operators do with them.")

Answer = TypeVar("Answer")
Within = Callable[[], AbstractAsyncContextManager[Connection]]
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
    rows = within(tenant, lambda conn, _: reads.list_instances(conn, tenant, status=status, skipped=page * size, size=size))
    output.show_rows(rows, columns=_LISTED)


@app.command("show")
def show(which: Which, tenant: OfTenant) -> None:
    """One instance and every attempt of its steps."""

    async def work(conn: Connection, _: Settings) -> dict[str, Any]:
        return await detail_of(conn, tenant, which)

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

    async def work(conn: Connection, _: Settings) -> Gathered:
        return await gather(conn, FollowedFlows(released_flows()), tenant, which)

    # Deciding a long history takes seconds, and holds no transaction meanwhile.
    found = judge(within(tenant, work))
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


async def with_engine(tenant: str, act: Callable[[Within, Engine], Awaitable[Answer]]) -> Answer:
    """Work with an engine, and with what opens a transaction of the tenant."""
    settings = Settings.load()
    async with open_key_ring(settings, wait=False) as keys:
        pool = await open_pool(settings, "api", size=1, wait=False)

        @asynccontextmanager
        async def within_tenant() -> AsyncIterator[Connection]:
            async with pool.acquire() as conn, conn.transaction():
                await conn.execute("select set_config('app.tenant', $1, true)", tenant)
                yield conn

        try:
            return await act(within_tenant, engine_of(settings, keys))
        finally:
            pool.terminate()
