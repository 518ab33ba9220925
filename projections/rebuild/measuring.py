"""How far a rebuild is: snapshots read from the store, records applied from the topic, errors, and whether it caught up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.rebuilds.decisions import has_passed, is_caught_up
from runtime.sql import Connection, load_queries
from schemas.registry import Place

queries = load_queries(__file__, "rebuild.sql")


@dataclass(frozen=True, slots=True)
class Measure:
    """`total` grows with the topic while it is read. `scanned`: every slice is done."""

    applied: int
    total: int
    errors: int
    scanned: bool
    caught_up: bool
    # Every partition has passed its goal, but the goals are old: new ones are due.
    goals_passed: bool


async def measure(conn: Connection, row: Mapping[str, Any], group: str) -> Measure:
    """Of one rebuild whose version has its offsets."""
    rebuild_id: UUID = row["rebuild_id"]
    scan = await queries.scan_progress(conn, rebuild_id=rebuild_id)
    offsets = await queries.find_offsets(conn, rebuild_id=rebuild_id)
    positions = await find_positions(conn, group)
    begins = {_place(one): one["noted"] if row["source"] == "store" else one["begins"] for one in offsets}
    goals = {_place(one): one["goal"] for one in offsets}
    # What the group read beyond its goals is no part of them, or it would look further than it is.
    applied = sum(max(0, min(positions.get(place, begin), goals[place]) - begin) for place, begin in begins.items())
    return Measure(
        applied=scan["applied"] + applied,
        total=scan["total"] + sum(goals[place] - begin for place, begin in begins.items()),
        errors=await queries.count_errors(conn, group_name=group, rebuild_id=rebuild_id),
        scanned=scan["done"],
        caught_up=is_caught_up(positions, goals, max((one["age"] for one in offsets), default=0.0)),
        goals_passed=has_passed(positions, goals),
    )


async def find_positions(conn: Connection, group: str) -> dict[Place, int]:
    """Where a group stands: the offset that it reads next, per partition."""
    return {_place(one): one["next"] for one in await queries.find_positions(conn, group_name=group)}


async def rates_of(conn: Connection) -> dict[tuple[str, int], float]:
    """Each member's share of the rate of a rebuild that catches up, by table and version; those without a rate are absent."""
    rows = await queries.list_rates(conn)
    return {(row["name"], row["version"]): row["rate"] / max(1, row["members"]) for row in rows}


async def set_goals(conn: Connection, rebuild_id: UUID, ends: Mapping[Place, int]) -> None:
    """The ends that the group has to pass next."""
    await queries.set_goals(
        conn,
        rebuild_id=rebuild_id,
        topics=[place.topic for place in ends],
        partitions=[place.partition for place in ends],
        goals=list(ends.values()),
    )


def _place(row: Mapping[str, Any]) -> Place:
    return Place(row["topic"], row["partition"])
