"""Tenants' zones and holidays, from the directory."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.rules.calendar import Calendar
from runtime.sql import Connection, load_queries

queries = load_queries(__file__)


async def read_calendars(conn: Connection, tenants: Iterable[str]) -> dict[str, Calendar]:
    """The calendars of those tenants that exist."""
    rows = await queries.list_calendars(conn, tenant_ids=sorted(set(tenants)))
    return {row["tenant_id"]: Calendar(zone_of(row["zone"]), frozenset(row["holidays"])) for row in rows}


def zone_of(name: str) -> ZoneInfo:
    """The zone of this name; UTC for one that this machine's time zone data does not have."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
