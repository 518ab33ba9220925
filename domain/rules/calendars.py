"""Tenants' zones and holidays, from the directory."""

from collections.abc import Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from domain.rules.calendar import Calendar
from domain.rules.checking import zone_of
from runtime.sql import Connection, load_queries

queries = load_queries(__file__)
# For a name that this machine's time zone data does not have.
_UNKNOWN = ZoneInfo("UTC")


async def read_calendars(conn: Connection, tenants: Iterable[str]) -> dict[str, Calendar]:
    """The calendars of those tenants that exist."""
    rows = await queries.list_calendars(conn, tenant_ids=sorted(set(tenants)))
    return {row["tenant_id"]: calendar_of_row(row) for row in rows}


def calendar_of_row(row: Mapping[str, Any]) -> Calendar:
    """The calendar that a tenant's row says."""
    return Calendar(zone_of(row["zone"]) or _UNKNOWN, frozenset(row["holidays"]))
