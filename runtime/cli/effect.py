"""`casestream effect`: calls and delays, across tenants. Shows ids, states and codes, never what a call says."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import typer

from domain.effects.operating import (
    STATES,
    UNFINISHED,
    Ordered,
    cancel_one,
    list_effects,
    read_clock,
    retry,
    retry_all,
    show_effect,
)
from domain.outbox import Outbox
from runtime.cli import operating, output
from runtime.cli.effect_kinds import wiring
from runtime.cli.exits import ExitCode
from runtime.postgres import open_pool
from runtime.settings import Settings
from schemas.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="Effects: list, show, retry, cancel.")

_LINE = ("effect_id", "tenant_id", "owner_kind", "owner_id", "kind", "endpoint", "state", "code", "attempt", "due_at")
# The command's default: what a person asks for first.
_FAILED = "failed"


@app.command("list")
def list_(
    state: Annotated[str, typer.Option(help="A state, `unfinished`, or `all`.")] = _FAILED,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    fingerprint: Annotated[str | None, typer.Option(help="Only failed ones of this cause.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only of the owner with this id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
) -> None:
    """Newest first; failed ones unless told otherwise."""
    groups = {"unfinished": UNFINISHED, "all": STATES, **{name: (name,) for name in STATES}}
    if state not in groups:
        raise ConfigurationError([f"--state {state}: expected one of {', '.join(groups)}"])
    output.show_rows(
        _within(
            lambda conn: list_effects(
                conn, states=groups[state], tenant_id=tenant, fingerprint=fingerprint, owner_id=owner, most=limit
            )
        ),
        columns=_LINE,
    )


@app.command()
def show(effect_id: UUID) -> None:
    """Everything about one but what it says."""
    output.show_record(_within(lambda conn: show_effect(conn, effect_id)))


@app.command("retry")
def retry_(
    effect_ids: Annotated[list[UUID] | None, typer.Argument(help="Failed effects.")] = None,
    tenant: Annotated[str | None, typer.Option(help="With --fingerprint: whose.")] = None,
    fingerprint: Annotated[str | None, typer.Option(help="All failed ones of this cause.")] = None,
    reason: Annotated[str | None, typer.Option(help="Kept in the audit log.")] = None,
) -> None:
    """Order failed effects once more, under the same ids: named ones, or all of a tenant's of one cause."""
    if bool(effect_ids) == bool(fingerprint) or bool(fingerprint) != bool(tenant):
        raise typer.BadParameter("name effects, or give --tenant and --fingerprint", param_hint="EFFECT_IDS")
    if fingerprint and tenant:
        _say(_retry_cause(tenant, fingerprint, reason))
    else:
        _say(_within(lambda conn: _retry_named(conn, effect_ids or [], reason)))


@app.command()
def cancel(
    effect_id: UUID,
    reason: Annotated[str, typer.Option(help="Kept in the audit log.")],
) -> None:
    """Cancel an effect that nobody has claimed; its owner goes on as after a failure, or ends."""

    async def work(settings: Settings, pool: Any) -> Ordered:
        tenant_id = (await _scanned(lambda conn: show_effect(conn, effect_id)))["tenant_id"]
        outbox, wired = Outbox(settings.ce_source), wiring(settings)
        return await operating.write(
            pool,
            lambda conn: cancel_one(conn, outbox, wired, tenant_id, effect_id, actor=operating.actor(), reason=reason),
            [tenant_id],
        )

    _say([operating.run(work)])


def _retry_cause(tenant: str, fingerprint: str, reason: str | None) -> list[Ordered]:
    """Page after page, each in a transaction of its own, until one orders nothing."""
    began = _within(read_clock)
    done: dict[UUID, Ordered] = {}
    while True:
        page = _within(lambda conn: retry_all(conn, tenant, fingerprint, actor=operating.actor(), reason=reason, before=began))
        done = {one.effect_id: one for one in page} | done
        if not any(one.said == "ordered" for one in page):
            return list(done.values())


async def _retry_named(conn: Any, effect_ids: list[UUID], reason: str | None) -> list[Ordered]:
    named = [((await show_effect(conn, effect_id))["tenant_id"], effect_id) for effect_id in effect_ids]
    return await retry(conn, named, actor=operating.actor(), reason=reason)


def _say(done: list[Ordered]) -> None:
    output.show_rows({"effect_id": one.effect_id, "tenant_id": one.tenant_id, "said": one.said} for one in done)
    ordered = sum(one.said == "ordered" for one in done)
    if ordered < len(done) or not done:
        raise typer.Exit(ExitCode.PARTLY if ordered else ExitCode.FAILED)


def _within(act: Callable[[Any], Awaitable[Any]]) -> Any:
    return asyncio.run(_scanned(act))


async def _scanned(act: Callable[[Any], Awaitable[Any]]) -> Any:
    """Within one transaction of cs_scan, which sees all tenants."""
    pool = await open_pool(Settings.load(), "scan", size=1, wait=False)
    try:
        async with pool.acquire() as conn, conn.transaction():
            return await act(conn)
    finally:
        pool.terminate()
