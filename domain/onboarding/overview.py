"""The operators' dashboard of one tenant (WF-15): what is under way and where, what ended, recoveries and incidents per hour.

Counted anew each time, so that no counter can be wrong, and never more rows than `MOST` of a kind: what is larger says so.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from domain.onboarding.instance import FINAL
from domain.onboarding.performing import OBJECT
from domain.onboarding.reads import STATUSES
from runtime.sql import Connection, load_queries

queries = load_queries(Path(__file__).with_name("overview.sql"))

Row = Mapping[str, Any]
MOST = 100_000
# More recoveries of a tenant within an hour than this are an alert (WF-8).
MOST_RECOVERIES = 10
LIVE = [status for status in STATUSES if status not in FINAL]


async def dashboard(conn: Connection, tenant_id: str, *, most: int = MOST) -> dict[str, Any]:
    """Everything that the first page shows."""
    named = {"tenant_id": tenant_id}
    live = await queries.count_live(conn, **named, statuses=LIVE, most=most)
    ended = await queries.count_ended(conn, **named, most=most)
    troubles = await queries.count_troubles(conn, **named, object_type=OBJECT, most=most)
    recoveries = await queries.count_recoveries(conn, **named)
    incidents = await queries.count_incidents(conn, **named, object_type=OBJECT)
    now: datetime = await queries.read_clock(conn)
    latest = sum(row["latest"] for row in recoveries)
    return {
        "at": now,
        "tenants": [{"tenant_id": tenant_id, "live": _total(live), "ended_last_day": _total(ended)}],
        "statuses": _by(live, "status"),
        "flows": _by(live, "flow", "flow_version"),
        "states": _by(live, "flow", "state"),
        "ended": _by(ended, "flow", "status"),
        "open_incidents": [dict(row) for row in troubles],
        "hours": _hours(recoveries, incidents),
        "recoveries_last_hour": latest,
        "incidents_last_hour": sum(row["latest"] for row in incidents),
        "recovery_alert": latest > MOST_RECOVERIES,
        "complete": all(_total(rows) < most for rows in (live, ended, troubles)),
    }


def _total(rows: Iterable[Row]) -> int:
    return sum(row["count"] for row in rows)


def _by(rows: Iterable[Row], *names: str) -> list[dict[str, Any]]:
    """The counts, added up by these columns."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        counts[tuple(row[name] for name in names)] += row["count"]
    return [{**dict(zip(names, key, strict=True)), "count": count} for key, count in sorted(counts.items())]


def _hours(recoveries: Sequence[Row], incidents: Sequence[Row]) -> list[dict[str, Any]]:
    """The hours in which something was."""
    found = {row["hour"]: {"hour": row["hour"], "recoveries": 0, "incidents": 0} for row in (*recoveries, *incidents)}
    for name, rows in (("recoveries", recoveries), ("incidents", incidents)):
        for row in rows:
            found[row["hour"]][name] = row["count"]
    return [found[hour] for hour in sorted(found)]
