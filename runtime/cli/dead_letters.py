"""`casestream dlt`: parked messages, grouped by cause, and what to do about them.

The parked rows are the truth; the topics `<topic>.<group>.dlt` are copies for eyes. Redrive and discard are orders: the
partition's owner carries them out in order, so a member of the group must run. `--follow` waits for it.
"""

import asyncio
import time
from typing import Annotated, Any

import asyncpg
import typer

from domain.operations import parked
from domain.operations.parked import Affected, Order, Progress, Selection
from runtime.cli import operating, output
from runtime.cli.exits import ExitCode
from runtime.settings import Settings
from schemas.errors import ConfigurationError, TransientError

app = typer.Typer(no_args_is_help=True, help="Parked messages: list, show, redrive, discard.")

_Group = Annotated[str, typer.Option(help="A group of the registry.")]
_Fingerprint = Annotated[str | None, typer.Option(help="Those of this cause, as `list` shows it.")]
_Tenant = Annotated[str | None, typer.Option(help="Only this tenant's.")]
_Key = Annotated[str | None, typer.Option(help="Those of this record key: tenant|type|id.")]
_Position = Annotated[str | None, typer.Option(help="The one at TOPIC:PARTITION:OFFSET.")]
_All = Annotated[bool, typer.Option("--all", help="Everything parked in the group.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be ordered.")]
_Follow = Annotated[bool, typer.Option("--follow", help="Wait until the owners have done it.")]
_Seconds = Annotated[float, typer.Option("--seconds", min=1, help="With --follow: at most so long without progress.")]
_POLL_SECONDS = 0.3


@app.command("list")
def list_(
    group: Annotated[str | None, typer.Option(help="One group; all when absent.")] = None,
    fingerprint: _Fingerprint = None,
    tenant: _Tenant = None,
    messages: Annotated[bool, typer.Option("--messages", help="The messages themselves instead of causes.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="With --messages: at most so many.")] = 200,
) -> None:
    """What is parked, by cause: how many messages and keys, since when, a sample error."""

    async def work(_: Settings, pool: asyncpg.Pool) -> Any:
        if group:
            await operating.group_of(pool, group)
        async with pool.acquire() as conn:
            if messages:
                return await parked.list_messages(conn, group, fingerprint, tenant, limit)
            return await parked.list_causes(conn, group, fingerprint, tenant)

    output.show_rows(operating.run(work))


@app.command()
def show(
    group: _Group,
    position: Annotated[str, typer.Option(help="TOPIC:PARTITION:OFFSET.")],
    payload: Annotated[bool, typer.Option("--payload", help="Print the value too; it may hold personal data.")] = False,
    reason: Annotated[str | None, typer.Option(help="With --payload: why; kept in the audit log.")] = None,
) -> None:
    """One parked message: headers, sizes, the key's hash. The value only with --payload and --reason, audited."""
    place = _place(position)
    if payload and not reason:
        raise ConfigurationError(["--payload needs --reason: reading a message's contents is written into the audit log"])

    async def work(_: Settings, pool: asyncpg.Pool) -> dict[str, Any]:
        shown: dict[str, Any] = await operating.read(pool, lambda conn: parked.show(conn, group, *place))
        if payload:

            async def deed(conn: Any) -> bytes | None:
                return await parked.read_payload(conn, group, *place, actor=operating.actor(), reason=reason or "")

            value = await operating.write(pool, deed, [shown["tenant_id"]])
            shown["payload"] = None if value is None else value.decode(errors="backslashreplace")
        return shown

    output.show_record(operating.run(work))


@app.command()
def redrive(
    group: _Group,
    fingerprint: _Fingerprint = None,
    tenant: _Tenant = None,
    key: _Key = None,
    position: _Position = None,
    everything: _All = False,
    dry_run: _DryRun = False,
    follow: _Follow = False,
    seconds: _Seconds = 60.0,
) -> None:
    """Order that parked messages are applied again, whole keys in order. Exit code 4 when some failed again."""
    selection = _selection(group, fingerprint, tenant, key, position, everything)
    _order(selection, "redrive", None, dry_run=dry_run, follow=follow, seconds=seconds)


@app.command()
def discard(
    group: _Group,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit log.")],
    fingerprint: _Fingerprint = None,
    tenant: _Tenant = None,
    key: _Key = None,
    position: _Position = None,
    everything: _All = False,
    dry_run: _DryRun = False,
    follow: _Follow = False,
    seconds: _Seconds = 60.0,
) -> None:
    """Give the named messages up for ever: they count as seen. What follows them in their keys is redriven."""
    selection = _selection(group, fingerprint, tenant, key, position, everything)
    _order(selection, "discard", reason, dry_run=dry_run, follow=follow, seconds=seconds)


def _order(selection: Selection, what: Order, reason: str | None, *, dry_run: bool, follow: bool, seconds: float) -> None:
    async def work(_: Settings, pool: asyncpg.Pool) -> Progress | None:
        await operating.group_of(pool, selection.group)
        affected = await operating.read(pool, lambda conn: parked.select(conn, selection))
        output.show_record(
            {"group": selection.group, "order": what, "messages": len(affected.positions), "keys": len(affected.keys)}
        )
        if dry_run:
            output.remark("dry run: nothing was ordered")
            return None
        rows = await operating.write(
            pool, lambda conn: parked.order(conn, affected, what, actor=operating.actor(), reason=reason)
        )
        output.remark(f"{rows} row(s) ordered; running members of {selection.group} do it within a second")
        return await _follow(pool, affected, seconds) if follow else None

    left = operating.run(work)
    if left is None:
        return
    if left.remaining:
        output.remark(f"{left.remaining} message(s) failed again or follow one that did: casestream dlt list")
        raise typer.Exit(ExitCode.PARTLY)
    output.remark("done: nothing of these keys is parked any more")


async def _follow(pool: asyncpg.Pool, affected: Affected, seconds: float) -> Progress:
    """Until no order is open. Raises TransientError when nothing moves for so long."""
    last, moved_at = None, time.monotonic()
    while True:
        now: Progress = await operating.read(pool, lambda conn: parked.progress(conn, affected))
        if now.ordered == 0:
            return now
        if now != last:
            last, moved_at = now, time.monotonic()
            output.remark(f"  {now.ordered} to do")
        if time.monotonic() - moved_at > seconds:
            raise TransientError(
                f"no member of {affected.group} has done anything for {seconds:g} s, {now.ordered} orders stay open: "
                f"is one running? casestream group describe {affected.group}"
            )
        await asyncio.sleep(_POLL_SECONDS)


def _selection(
    group: str, fingerprint: str | None, tenant: str | None, key: str | None, position: str | None, everything: bool
) -> Selection:
    given = [fingerprint, key, position, tenant]
    if everything == any(value is not None for value in given):
        raise ConfigurationError(["expected --fingerprint, --key, --position or --tenant; or --all alone"])
    return Selection(
        group,
        fingerprint,
        tenant,
        key.encode() if key is not None else None,
        _place(position) if position is not None else None,
    )


def _place(text: str) -> tuple[str, int, int]:
    topic, _, rest = text.partition(":")
    partition, _, offset = rest.partition(":")
    if not (topic and partition.isdigit() and offset.isdigit()):
        raise ConfigurationError([f"--position {text}: expected TOPIC:PARTITION:OFFSET"])
    return topic, int(partition), int(offset)
