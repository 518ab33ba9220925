"""What is open across all tenants, for the metrics page: incidents by kind, stopped groups (SP-9). Closes what is over."""

import asyncpg

from domain.operations.endings import close_ended
from runtime.sql import load_queries
from workers import metrics
from workers.lease import Lease

queries = load_queries(__file__)
INTERVAL_SECONDS = 15.0


async def count(scan: asyncpg.Pool, lease: Lease) -> None:
    """One census. Kinds that are gone are reported as absent, not as their last number."""
    async with scan.acquire() as conn, conn.transaction():
        await close_ended(conn)
    rows = await queries.count_open_incidents(scan)
    stopped = await queries.count_stopped_groups(scan)
    lease.require()
    metrics.incidents_open.clear()
    for row in rows:
        metrics.incidents_open.labels(row["kind"]).set(row["open"])
    metrics.groups_stopped.set(stopped)


def forget() -> None:
    """Somebody else leads: our last numbers are no news any more."""
    metrics.incidents_open.clear()
    metrics.groups_stopped.set(0)
