"""Due dates in a tenant's calendar (RU-11, trap 36). Pure: the zone and the holidays are arguments."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from schemas.rules import Unit

_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Calendar:
    """A tenant's days."""

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    holidays: frozenset[date] = frozenset()

    def works_on(self, day: date) -> bool:
        """Neither a weekend nor a holiday."""
        return day.weekday() < _SATURDAY and day not in self.holidays


def after(start: datetime, amount: int, unit: Unit, calendar: Calendar) -> datetime:
    """`amount` units after `start`, in UTC; before it when negative.

    Minutes and hours are real time. Days and weeks keep the time of day in the tenant's zone, also over a clock change; a
    time that the change leaves out falls where the clock stands after it. Business days count working days only.
    """
    if unit in _REAL:
        return start + _REAL[unit] * amount
    local = start.astimezone(calendar.zone)
    day = _DAYS[unit](local.date(), amount, calendar)
    return local.replace(year=day.year, month=day.month, day=day.day, fold=0).astimezone(UTC)


def _days(day: date, amount: int, _: Calendar) -> date:
    return day + timedelta(days=amount)


def _weeks(day: date, amount: int, _: Calendar) -> date:
    return day + timedelta(weeks=amount)


def _business_days(day: date, amount: int, calendar: Calendar) -> date:
    step = timedelta(days=1 if amount >= 0 else -1)
    left = abs(amount)
    while left:
        day += step
        left -= calendar.works_on(day)
    return day


_REAL = {Unit.MINUTES: timedelta(minutes=1), Unit.HOURS: timedelta(hours=1)}
_DAYS: dict[Unit, Callable[[date, int, Calendar], date]] = {
    Unit.DAYS: _days,
    Unit.WEEKS: _weeks,
    Unit.BUSINESS_DAYS: _business_days,
}
