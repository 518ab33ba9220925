"""When a rule that hangs on a date field is due for an entity (ON_DATE_FIELD, trap 24). Pure."""

from datetime import UTC, date, datetime, time

from domain.fields.paths import MISSING, Values, parse_path
from domain.rules.calendar import Calendar, after
from domain.rules.checking import zone_of
from domain.rules.values import UNFIT, converter
from schemas.rules import RuleDefinition, ValueType

_MIDNIGHT = time(0)


def due_of(definition: RuleDefinition, values: Values, calendar: Calendar) -> datetime | None:
    """The instant, in UTC; None where the field has no date.

    A date alone means its day in the rule's zone, else the tenant's, at `timeOfDay`, else at midnight. An instant keeps its
    own time unless `timeOfDay` says another. The offset counts in that calendar; a time that a clock change leaves out falls
    where the clock stands after it.
    """
    assert definition.date_field is not None, "a rule without it is refused when it is saved"
    found = parse_path(definition.date_field).read(values)
    if found is MISSING or found is None:
        return None
    at = time.fromisoformat(definition.time_of_day) if definition.time_of_day else None
    own = zone_of(definition.schedule_timezone) if definition.schedule_timezone else None
    days = Calendar(own or calendar.zone, calendar.holidays)
    try:
        moment = _moment(found, at, days)
        if moment is None or definition.offset is None:
            return moment
        return after(moment, definition.offset.amount, definition.offset.unit, days)
    except (OverflowError, ValueError):
        # The first and the last year of the calendar, which systems write for "never".
        return None


def _moment(found: object, at: time | None, days: Calendar) -> datetime | None:
    day = converter(ValueType.DATE, days.zone)(found) if isinstance(found, str) and len(found) == _DAY else UNFIT
    if isinstance(day, date) and not isinstance(day, datetime):
        return datetime.combine(day, at or _MIDNIGHT, days.zone).astimezone(UTC)
    instant = converter(ValueType.DATETIME, days.zone)(found)
    if not isinstance(instant, datetime):
        return None
    if at is None:
        return instant.astimezone(UTC)
    return datetime.combine(instant.astimezone(days.zone).date(), at, days.zone).astimezone(UTC)


_DAY = len("2026-12-01")
