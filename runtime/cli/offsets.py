"""`casestream offsets`: where groups stand, and moving them. A dry run unless `--execute` says otherwise.

Works while members run: the owner of a moved partition finds its epoch raised, rolls back and takes the partition anew.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import asyncpg
import typer

from domain.operations import positions as operations
from domain.operations.decisions import Bounds, Move, Target, effects_said, inbox_ages, plan_moves, refuse_below_inbox
from runtime.cli import operating, output
from runtime.settings import Settings
from runtime.watermarks import Watermarks, watermarks
from schemas.errors import ConfigurationError, Rejected
from schemas.registry import Group, Place

app = typer.Typer(no_args_is_help=True, help="Positions of groups: show, move, skip-gap. A dry run unless told otherwise.")

_Group = Annotated[str, typer.Option(help="A group of the registry.")]
_Execute = Annotated[bool, typer.Option("--execute", help="Do it; without, only say what would be done.")]
_Reason = Annotated[str | None, typer.Option(help="Why; kept in the audit log.")]
_DURATION = re.compile(r"^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$")


@app.command()
def show(group: _Group, topic: Annotated[str | None, typer.Option(help="One topic of the group.")] = None) -> None:
    """Where a group stands: next, epoch, owner, where it began."""

    async def work(_: Settings, pool: asyncpg.Pool) -> Any:
        operating.topics_of(await operating.group_of(pool, group), topic)
        return await operating.read(pool, lambda conn: operations.list_positions(conn, group, topic))

    output.show_rows(operating.run(work))


@app.command()
def move(
    group: _Group,
    topic: Annotated[str, typer.Option(help="A topic of the group.")],
    partition: Annotated[int | None, typer.Option(min=0, help="One partition; all when absent.")] = None,
    to_earliest: Annotated[bool, typer.Option("--to-earliest", help="To the first record that Kafka has.")] = False,
    to_latest: Annotated[bool, typer.Option("--to-latest", help="Behind the last record.")] = False,
    to_offset: Annotated[int | None, typer.Option(min=0, help="To this offset.")] = None,
    shift_by: Annotated[int | None, typer.Option(help="By so many records, back when negative.")] = None,
    to_datetime: Annotated[
        str | None, typer.Option(help="First record since then: 2026-01-31T08:00:00Z; the zone is a must.")
    ] = None,
    by_duration: Annotated[str | None, typer.Option(help="First record since so long ago: PnDTnHnMnS.")] = None,
    below_inbox: Annotated[str | None, typer.Option(help="Effects may happen twice, and why that is meant.")] = None,
    reason: _Reason = None,
    execute: _Execute = False,
) -> None:
    """Move a group on a topic. Says how many records are read again or skipped, and which effects that may repeat."""
    given = {
        "--to-earliest": to_earliest or None,
        "--to-latest": to_latest or None,
        "--to-offset": to_offset,
        "--shift-by": shift_by,
        "--to-datetime": to_datetime,
        "--by-duration": by_duration,
    }
    target, instant = target_of(given, datetime.now(UTC))

    async def work(settings: Settings, pool: asyncpg.Pool) -> tuple[Group, list[Move], int]:
        found = await operating.group_of(pool, group)
        operating.topics_of(found, topic)
        async with watermarks(settings) as kafka:
            moves = await plan(settings, pool, kafka, found, topic, partition, target, instant)
        refused = moves if isinstance(moves, Rejected) else refuse_below_inbox(moves, below_inbox)
        if isinstance(refused, Rejected):
            raise operating.refuse(refused)
        assert isinstance(moves, list)
        if not execute:
            return found, moves, 0

        async def deed(conn: Any) -> int:
            return await operations.move(conn, group, moves, actor=operating.actor(), reason=reason, below_inbox=below_inbox)

        return found, moves, await operating.write(pool, deed)

    found, moves, done = operating.run(work)
    _say(found, moves, done, execute)


@app.command("skip-gap")
def skip_gap(
    group: _Group,
    topic: Annotated[str, typer.Option(help="A topic of the group.")],
    aggregate: Annotated[str, typer.Option(help="The aggregate as its incident names it: tenant|type|id.")],
    reason: _Reason = None,
    execute: _Execute = False,
) -> None:
    """Say that the numbers an aggregate waits for will never come: what waits behind them is applied by the owner."""

    async def work(_: Settings, pool: asyncpg.Pool) -> tuple[Any, int]:
        operating.topics_of(await operating.group_of(pool, group), topic)
        gaps = await operating.read(pool, lambda conn: operations.find_gaps(conn, group, topic, aggregate))
        if not execute:
            return gaps, 0
        return gaps, await operating.write(
            pool,
            lambda conn: operations.skip_gap(conn, group, topic, aggregate, actor=operating.actor(), reason=reason),
        )

    gaps, done = operating.run(work)
    output.show_rows(gaps)
    if done:
        output.remark(f"{done} gap(s) given up; the group's running members go on within a second")
    elif gaps:
        output.remark("dry run: nothing was changed; add --execute to give these numbers up for ever")


def target_of(given: Mapping[str, Any], now: datetime) -> tuple[Target, datetime | None]:
    """Exactly one target of the command line; an instant must have a zone. Raises ConfigurationError."""
    named = {option: value for option, value in given.items() if value is not None}
    if len(named) != 1:
        raise ConfigurationError([f"expected exactly one of {', '.join(given)}; found {', '.join(named) or 'none'}"])
    ((option, value),) = named.items()
    match option:
        case "--to-earliest":
            return Target("earliest"), None
        case "--to-latest":
            return Target("latest"), None
        case "--to-offset":
            return Target("offset", value), None
        case "--shift-by":
            return Target("shift", value), None
        case "--to-datetime":
            return Target("instant"), _instant(value)
        case _:
            return Target("instant"), now - _duration(value)


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ConfigurationError([f"--to-datetime {text}: expected ISO 8601 with a zone, like 2026-01-31T08:00:00Z or +07:00"])
    return instant


def _duration(text: str) -> timedelta:
    match = _DURATION.match(text)
    if match is None or not any(match.groups()):
        raise ConfigurationError([f"--by-duration {text}: expected PnDTnHnMnS, like P1D or PT2H30M"])
    days, hours, minutes, seconds = (int(number or 0) for number in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


async def plan(
    settings: Settings,
    pool: asyncpg.Pool,
    kafka: Watermarks,
    group: Group,
    topic: str,
    partition: int | None,
    target: Target,
    instant: datetime | None,
) -> list[Move] | Rejected:
    """The moves of one topic from what PostgreSQL and Kafka say now. Raises ConfigurationError for what does not exist."""
    all_bounds = {place: Bounds(*bounds) for place, bounds in (await kafka.bounds([topic])).items()}
    bounds = {place: found for place, found in all_bounds.items() if partition in (None, place.partition)}
    if not all_bounds:
        raise ConfigurationError([f"topic {topic} does not exist: run `casestream topics apply`"])
    if not bounds:
        raise ConfigurationError([f"--partition {partition}: {topic} has {len(all_bounds)}, numbered from 0"])
    rows = await operating.read(pool, lambda conn: operations.list_positions(conn, group.name, topic, partition))
    standing = {Place(row["topic"], row["partition"]): row["next"] for row in rows}
    instants = await _offsets_at(kafka, bounds, instant)
    forgetful = [] if group.own_keys else [group]
    age = inbox_ages(forgetful, timedelta(days=settings.housekeeping.inbox_margin_days)).get(group.name)
    forgotten = age and datetime.now(UTC) - age
    # Where nothing is younger than the mark, all of it is below.
    low_water = (
        {place: bounds[place].end for place in bounds} | await _offsets_at(kafka, bounds, forgotten) if forgotten else {}
    )
    return plan_moves(target, standing, bounds, instants, low_water)


async def _offsets_at(kafka: Watermarks, bounds: Mapping[Place, Bounds], instant: datetime | None) -> dict[Place, int]:
    if instant is None:
        return {}
    return await kafka.offsets_at(bounds, instant)


def _say(group: Group, moves: list[Move], done: int, execute: bool) -> None:
    rows = [
        {
            "topic": one.place.topic,
            "partition": one.place.partition,
            "next": one.at,
            "to": one.to,
            "read_again": one.again,
            "skipped": one.skipped,
        }
        for one in moves
    ]
    said = {
        "group": group.name,
        "read_again": sum(one.again for one in moves),
        "skipped": sum(one.skipped for one in moves),
        "effects_repeated": effects_said(group, moves),
        "executed": execute,
        "partitions": rows,
    }
    if output.chosen() is output.Format.TABLE:
        output.show_rows(rows)
        output.show_record({key: value for key, value in said.items() if key != "partitions"})
    else:
        output.show_record(said)
    if not execute:
        output.remark("dry run: nothing was changed; add --execute to move")
    else:
        output.remark(f"{done} partition(s) moved; running members follow within a second")
