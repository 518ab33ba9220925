"""`casestream projection`: table versions: list, rebuild, verify, switch, switch back, retire. Dry runs where something moves.

Every command only leaves an order and watches it; the processes of the role `projections` carry it out, and this one helps
while it watches. Killing it loses nothing.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import typer

from domain.rebuilds import commands
from domain.rebuilds.commands import Person, Wish
from domain.rebuilds.decisions import OPEN, progress_of, refuse_incomplete
from runtime.cli import operating, output
from runtime.cli.rebuild_watching import carry_out, watch_rebuild
from runtime.settings import Settings
from schemas.errors import ConfigurationError, Rejected, TransientError

app = typer.Typer(
    no_args_is_help=True, help="Table versions: list, status, rebuild, verify, switch, switch-back, retire, cancel, resume."
)

_Name = Annotated[str, typer.Argument(help="A table, like case_plain_order_case or work_item_board.")]
_Execute = Annotated[bool, typer.Option("--execute", help="Do it; without, only say what would be done.")]
_Reason = Annotated[str, typer.Option(help="Why; kept in the audit log.")]
_Version = Annotated[int | None, typer.Option(min=1, help="A version's number; the newest one when absent.")]
DRY = "dry run: nothing was changed; add --execute to do it"

Row = Mapping[str, Any]


@app.command("list")
def list_versions(name: Annotated[str | None, typer.Argument(help="One table.")] = None) -> None:
    """Every version of every table: its state, what it was made from, since when."""

    async def work(_: Settings, pool: asyncpg.Pool) -> Any:
        from projections.versions import list_versions

        return await list_versions(pool, name)

    versions = operating.run(work)
    columns = ("name", "version", "state", "source", "trial_tenant", "state_since", "created_by")
    output.show_rows([{column: getattr(one, column) for column in columns} for one in versions])


@app.command()
def status(name: Annotated[str | None, typer.Argument(help="One table.")] = None) -> None:
    """Rebuilds, newest first: how far each is, how fast, what it waits for."""
    rows = operating.run(lambda _, pool: commands.list_rebuilds(pool, name, most=20))
    output.show_rows([shown(row) for row in rows])


@app.command()
def rebuild(
    name: _Name,
    source: Annotated[
        str, typer.Option("--from", help="topic: from the first event; store: from the snapshot store.")
    ] = "topic",
    tenant: Annotated[str | None, typer.Option(help="A trial with this tenant's rows only; it can never be shown.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Processes to start here; 0 with --detach.")] = 1,
    rate: Annotated[
        int | None, typer.Option(min=1, help="At most so many snapshots per second, all processes together.")
    ] = None,
    reason: _Reason = "",
    detach: Annotated[bool, typer.Option("--detach", help="Only order it; the running fleet does it.")] = False,
    execute: _Execute = False,
) -> None:
    """Make the table anew as the next version, beside the one that is shown, until it has caught up."""
    if source not in ("topic", "store"):
        raise typer.BadParameter("topic or store", param_hint="--from")
    wish = Wish(name, source, tenant, rate, workers, reason=reason)  # type: ignore[arg-type]  # checked above
    if not execute:
        output.show_record(operating.run(lambda settings, pool: _plan(settings, pool, wish)))
        output.remark(DRY)
        return

    async def work(settings: Settings, pool: asyncpg.Pool) -> Row:
        row = await operating.write(pool, lambda conn: commands.order_rebuild(conn, _me(), wish))
        if isinstance(row, Rejected):
            raise operating.refuse(row)
        output.remark(f"rebuild {row['rebuild_id']} is ordered")
        return row if detach else await watch_rebuild(settings, pool, row["rebuild_id"], workers)

    _end_rebuild(operating.run(work), detached=detach)


async def _plan(settings: Settings, pool: asyncpg.Pool, wish: Wish) -> Row:
    """What would be done, and what speaks against it."""
    from projections.rebuild.specs import present_table, topics_of
    from projections.rebuild.topics import broker
    from projections.versions import list_versions

    table = await present_table(pool, wish.name, settings.mappings.max_columns)
    if table is None:
        raise ConfigurationError([f"{wish.name}: no mapping and no release has this table; see `casestream projection list`"])
    async with broker(settings) as kafka:
        facts = await kafka.facts(topics_of(table), {})
    versions = await list_versions(pool, wish.name)
    refused = refuse_incomplete(facts, wish.source, "builtin" if isinstance(table, str) else "cases")
    return {
        "table": wish.name,
        "version": max((one.version for one in versions), default=0) + 1,
        "from": wish.source,
        "records": sum(end - begin for topic in facts for begin, end in topic.bounds.values()),
        "serving": next((one.version for one in versions if one.serves), None),
        "refused": refused.message if refused else None,
    }


@app.command()
def verify(
    name: _Name,
    version: _Version = None,
    against: Annotated[
        int | None, typer.Option(min=1, help="Compare with this version; the one that is shown when absent.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Compare with what the store says, row by row.")] = False,
) -> None:
    """Compare a version with the one that is shown, or with the store, while both are written. Exit 1: they differ."""

    async def work(settings: Settings, pool: asyncpg.Pool) -> tuple[Row, Sequence[Row]]:
        number = version or await _newest(pool, name)
        row = await carry_out(
            settings, pool, lambda conn: commands.order_verify(conn, _me(), name, number, against=against, whole=full)
        )
        if isinstance(row, Rejected):
            raise operating.refuse(row)
        return row, await _sample(settings, pool, row)

    row, sample = operating.run(work)
    output.show_record(
        _order(row) | {"report": json.loads(row["report"])} if output.chosen() is not output.Format.TABLE else _order(row)
    )
    if sample:
        output.show_rows(sample, title="rows that differ")
    if row["verdict"] != "equal":
        raise typer.Exit(1)


@app.command()
def switch(name: _Name, version: _Version = None, reason: _Reason = "", execute: _Execute = False) -> None:
    """Let the view show a version: needs an equal comparison of the last hour, or a reason."""

    async def work(settings: Settings, pool: asyncpg.Pool) -> Row | Rejected | None:
        number = version or await _newest(pool, name)
        if not execute:
            return await commands.refuse_switching(pool, name, number, reason)
        return await carry_out(settings, pool, lambda conn: commands.order_switch(conn, _me(), name, number, reason))

    _end_order(operating.run(work), f"the view analytics.{name} would show the version")


@app.command("switch-back")
def switch_back(name: _Name, reason: _Reason = "", execute: _Execute = False) -> None:
    """Let the view show the version that it showed before; it has never stopped following."""

    async def work(settings: Settings, pool: asyncpg.Pool) -> Row | Rejected | None:
        if not execute:
            return await commands.refuse_switching_back(pool, name)
        return await carry_out(settings, pool, lambda conn: commands.order_switch_back(conn, _me(), name, reason))

    _end_order(operating.run(work), f"the view analytics.{name} would show the former version")


@app.command()
def retire(
    name: _Name,
    version: Annotated[int, typer.Option(min=1, help="The version to drop.")],
    reason: _Reason = "",
    execute: _Execute = False,
) -> None:
    """Drop a version that is not shown: its consumer leaves, its tables and its group's rows go."""

    async def work(settings: Settings, pool: asyncpg.Pool) -> Row | Rejected | None:
        if not execute:
            return await commands.refuse_retiring(pool, name, version)
        return await carry_out(settings, pool, lambda conn: commands.order_retire(conn, _me(), name, version, reason))

    _end_order(operating.run(work), f"the tables of {name}, version {version}, would be dropped")


@app.command()
def cancel(name: _Name, reason: _Reason = "", execute: _Execute = False) -> None:
    """Give up the open rebuild of a table; what is shown does not change."""
    _move_open(name, lambda conn, found: commands.cancel_rebuild(conn, _me(), found, reason), execute)


@app.command()
def resume(name: _Name, reason: _Reason = "") -> None:
    """Go on with the paused rebuild of a table; its errors until now are forgiven, and what was parked is read again."""
    _move_open(name, lambda conn, found: commands.resume_rebuild(conn, _me(), found, reason), execute=True)


def shown(row: Row) -> dict[str, Any]:
    """A rebuild as people read it."""
    progress = progress_of(row["state"], row["applied"], row["total"], row["speed"])
    return {
        "rebuild_id": str(row["rebuild_id"]),
        "name": row["name"],
        "version": row["version"],
        "from": row["source"],
        "tenant": row["trial_tenant"],
        "state": row["state"],
        "percent": round(progress.percent, 1),
        "applied": row["applied"],
        "total": row["total"],
        "per_second": round(row["speed"]),
        "eta_seconds": None if progress.eta_seconds is None else round(progress.eta_seconds),
        "errors": row["errors"],
        "message": row["message"],
        "ordered_at": row["ordered_at"],
    }


def _me() -> Person:
    return Person(operating.actor())


async def _newest(pool: asyncpg.Pool, name: str) -> int:
    from projections.versions import list_versions

    versions = [one.version for one in await list_versions(pool, name) if one.state != "retired"]
    if not versions:
        raise ConfigurationError([f"{name}: there is no version of it; see `casestream projection list`"])
    return max(versions)


def _move_open(name: str, move: Callable[[Any, UUID], Awaitable[Row | Rejected]], execute: bool) -> None:
    async def work(_: Settings, pool: asyncpg.Pool) -> Row | Rejected:
        rows = [row for row in await commands.list_rebuilds(pool, name) if row["state"] in OPEN]
        if not rows:
            return Rejected("RebuildNotThere", f"no rebuild of {name} is open; see `casestream projection status {name}`")
        if not execute:
            return rows[0]
        found: UUID = rows[0]["rebuild_id"]
        return await operating.write(pool, lambda conn: move(conn, found))

    row = operating.run(work)
    if isinstance(row, Rejected):
        raise operating.refuse(row)
    output.show_record(shown(row))
    if not execute:
        output.remark(DRY)


async def _sample(settings: Settings, pool: asyncpg.Pool, row: Row) -> Sequence[Row]:
    """Both sides' values of the rows that differ, for this terminal alone; sensitive ones masked."""
    from projections.rebuild.conductor import all_tenants
    from projections.rebuild.parity import values_of_sample
    from projections.versions import find_version
    from runtime.postgres import open_pool

    if row["verdict"] != "different" or row["against"] is None:
        return []
    scan = await open_pool(settings, "scan", size=1, wait=False)
    try:
        tenants = await all_tenants(scan)
    finally:
        scan.terminate()
    versions = [await find_version(pool, row["name"], number) for number in (row["against"], row["version"])]
    return await values_of_sample(pool, tenants, versions[0], versions[1], row["report"])


def _end_rebuild(row: Row, *, detached: bool) -> None:
    output.show_record(shown(row))
    match row["state"]:
        case "ready":
            output.remark(
                f"ready: `casestream projection verify {row['name']}`, then `casestream projection switch {row['name']}`"
            )
        case "refused" | "failed" | "paused" | "cancelled":
            output.remark(f"{row['state']}: {row['message']}")
            raise typer.Exit(1)
        case _ if detached:
            output.remark(f"the fleet does it: `casestream projection status {row['name']}`")


def _order(row: Row | Rejected) -> dict[str, Any]:
    if isinstance(row, Rejected):
        raise operating.refuse(row)
    names = ("kind", "name", "version", "against", "state", "verdict", "message", "compared_at")
    return {name: row[name] for name in names if row[name] is not None}


def _end_order(row: Row | Rejected | None, would: str) -> None:
    if isinstance(row, Rejected):
        raise operating.refuse(row)
    if row is None:
        output.remark(f"{would}. {DRY}")
        return
    output.show_record(_order(row))
    if row["state"] == "failed":
        raise TransientError(row["message"])
    if row["state"] == "refused":
        raise operating.refuse(Rejected("OrderRefused", row["message"]))
