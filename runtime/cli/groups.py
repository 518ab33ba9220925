"""`casestream group`: consumer groups as PostgreSQL knows them, with Kafka's ends and members beside.

Lag is counted from PostgreSQL's position; Kafka's committed offset is a mirror and may be late.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import asyncpg
import typer

from domain.operations import groups as operations
from domain.operations.positions import list_positions
from runtime.cli import operating, output
from runtime.settings import Settings
from runtime.watermarks import Watermarks, watermarks
from schemas.registry import Group

app = typer.Typer(no_args_is_help=True, help="Consumer groups: list, describe, lag, stop, resume.")

Row = dict[str, Any]
_Name = Annotated[str, typer.Argument(help="A group of the registry; `casestream group list` names them.")]


@app.command("list")
def list_() -> None:
    """Every group: state, partitions taken, lag, what is set aside."""

    async def work(settings: Settings, pool: asyncpg.Pool) -> list[Row]:
        groups = await operating.read(pool, operations.list_groups)
        async with watermarks(settings) as kafka:
            known = await operating.read(pool, operations.known_groups)
            return [{**dict(row), "lag": await _total_lag(pool, kafka, known.get(row["group_name"]))} for row in groups]

    columns = ("group_name", "state", "partitions", "lag", "parked", "parked_keys", "waiting", "reason")
    output.show_rows(operating.run(work), columns=columns)


@app.command()
def describe(name: _Name) -> None:
    """One group: its switch, its members, and per partition next, end, lag, epoch, owner, parked, waiting."""

    async def work(settings: Settings, pool: asyncpg.Pool) -> Row:
        group = await operating.group_of(pool, name)
        states = {row["group_name"]: row for row in await operating.read(pool, operations.list_groups)}
        async with watermarks(settings) as kafka:
            membership = await kafka.membership(name)
            partitions = await _partitions(pool, kafka, group)
        return {
            "group": name,
            "state": states[name]["state"],
            "reason": states[name]["reason"] or None,
            "kafka_state": membership.state,
            "members": [{"instance": one.instance, "host": one.host, "member": one.member} for one in membership.members],
            "partitions": partitions,
        }

    found = operating.run(work)
    if output.chosen() is not output.Format.TABLE:
        output.show_record(found)
        return
    output.show_record({key: found[key] for key in ("group", "state", "reason", "kafka_state")})
    output.show_rows(found["members"], title="members")
    output.show_rows(found["partitions"], title="partitions")


@app.command()
def lag(name: Annotated[str | None, typer.Argument(help="One group; all when absent.")] = None) -> None:
    """Lag per partition, from PostgreSQL's position to Kafka's end."""

    async def work(settings: Settings, pool: asyncpg.Pool) -> list[Row]:
        known = await operating.read(pool, operations.known_groups)
        groups = [await operating.group_of(pool, name)] if name else known.values()
        async with watermarks(settings) as kafka:
            return [{"group": group.name, **row} for group in groups for row in await _partitions(pool, kafka, group)]

    output.show_rows(operating.run(work), columns=("group", "topic", "partition", "next", "end", "lag"))


@app.command()
def stop(name: _Name, reason: Annotated[str, typer.Option(help="Why; kept in the audit log.")]) -> None:
    """Make a group's members hold within a second. They stay members, so nothing moves to others."""

    async def work(_: Settings, pool: asyncpg.Pool) -> None:
        await operating.group_of(pool, name)
        await operating.write(pool, lambda conn: operations.stop(conn, name, actor=operating.actor(), reason=reason))

    operating.run(work)
    output.remark(f"group {name} is stopped; to go on: casestream group resume {name}")


@app.command()
def resume(name: _Name, reason: Annotated[str | None, typer.Option(help="Kept in the audit log.")] = None) -> None:
    """Let a stopped group go on."""

    async def work(_: Settings, pool: asyncpg.Pool) -> None:
        await operating.group_of(pool, name)
        await operating.write(pool, lambda conn: operations.resume(conn, name, actor=operating.actor(), reason=reason))

    operating.run(work)
    output.remark(f"group {name} runs")


async def _total_lag(pool: asyncpg.Pool, kafka: Watermarks, group: Group | None) -> int | None:
    if group is None:
        return None
    return sum(int(row["lag"]) for row in await _partitions(pool, kafka, group))


async def _partitions(pool: asyncpg.Pool, kafka: Watermarks, group: Group) -> Sequence[Row]:
    """Every partition of the group's topics, taken or not; one that was never taken stands at the beginning."""
    rows = await operating.read(pool, lambda conn: list_positions(conn, group.name))
    known = {(row["topic"], row["partition"]): row for row in rows}
    bounds = await kafka.bounds(group.topics)
    return [_shown(place, begin, end, known.get(place)) for place, (begin, end) in sorted(bounds.items())]


def _shown(place: tuple[str, int], begin: int, end: int, row: Any) -> Row:
    topic, partition = place
    position = begin if row is None else row["next"]
    return {
        "topic": topic,
        "partition": partition,
        "next": None if row is None else position,
        "end": end,
        "lag": max(0, end - int(position)),
        "epoch": row and row["epoch"],
        "owner": row and (row["owner"] or None),
        "parked": row["parked"] if row else 0,
        "waiting": row["waiting"] if row else 0,
    }
