"""Incidents whose trouble is over close by themselves, so that an open incident always means that something is open."""

from collections.abc import Sequence
from typing import Any

from domain.audit import append
from runtime.sql import Connection, load_queries

queries = load_queries(__file__)


async def close_ended(conn: Connection) -> int:
    """Close those of operations' kinds, across tenants (as cs_scan); how many."""
    rows = [
        *await queries.close_ended_parkings(conn),
        *await queries.close_ended_gaps(conn),
        *await queries.close_ended_stops(conn),
    ]
    return await _audited(conn, rows, "system:census", "the trouble is over")


async def close(conn: Connection, kinds: Sequence[str], object_ids: Sequence[str], *, actor: str, resolution: str) -> int:
    """Close the system's incidents of these kinds about these objects, whose trouble was just mended; how many."""
    rows = await queries.close_incidents(
        conn, kinds=list(kinds), object_ids=list(object_ids), actor=actor, resolution=resolution
    )
    return await _audited(conn, rows, actor, resolution)


async def _audited(conn: Connection, rows: Sequence[Any], actor: str, resolution: str) -> int:
    for row in rows:
        await append(
            conn,
            tenant_id=row["tenant_id"],
            actor=actor,
            action="incident.resolve",
            object_type="incident",
            object_id=str(row["incident_id"]),
            reason=resolution,
        )
    return len(rows)
