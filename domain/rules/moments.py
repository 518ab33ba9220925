"""Moments relative to the evaluation, as a condition's value: `now - 24h`, `today + 7d` (trap 24).

`today` is the first instant of the day in the rule's zone. Units: m, h, d, w; a day is 24 hours from `now`, and a day of the
calendar from `today`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal

MAX_AMOUNT = 1_000_000
_LONGEST = timedelta(days=40_000)


@dataclass(frozen=True, slots=True)
class Moment:
    """`base` and the distance from it; `days` are counted in the calendar of the zone."""

    text: str
    base: Literal["now", "today"]
    days: int
    distance: timedelta

    def instant(self, now: datetime, zone: tzinfo) -> datetime:
        """The instant in UTC."""
        if self.base == "now":
            return now.astimezone(UTC) + self.distance
        day = now.astimezone(zone).date() + timedelta(days=self.days)
        return datetime.combine(day, time(), zone).astimezone(UTC) + self.distance

    def day(self, now: datetime, zone: tzinfo) -> date:
        """The day in the zone."""
        return self.instant(now, zone).astimezone(zone).date()


def read_moment(text: str) -> Moment | None:
    """The moment that a text says, None if it says none."""
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        return None
    base, sign, amount, unit = found[1].lower(), found[2], int(found[3] or 0), (found[4] or "m").lower()
    signed = -amount if sign == "-" else amount
    days = signed * _DAYS.get(unit, 0)
    if base == "today" and days:
        distance = timedelta()
    else:
        distance = timedelta(days=days) if days else timedelta(minutes=signed * _MINUTES.get(unit, 0))
    if abs(distance) > _LONGEST or abs(days) > _LONGEST.days:
        return None
    return Moment(text.strip(), "now" if base == "now" else "today", days if base == "today" else 0, distance)


_MOMENT = re.compile(r"(now|today)(?:\s*([+-])\s*([0-9]{1,7})\s*([mhdw]))?", re.IGNORECASE)
_MINUTES = {"m": 1, "h": 60}
_DAYS = {"d": 1, "w": 7}
