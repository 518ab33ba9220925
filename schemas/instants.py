"""How an instant is written wherever we write one: RFC 3339 in UTC with microseconds, so that text order is time order."""

from datetime import UTC, datetime


def format_time(moment: datetime) -> str:
    """`2026-01-05T08:00:00.000000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
