"""When a cron expression fires in a zone: pure, from an instant to instants in UTC.

Debian's rules at clock changes. A fixed time (minute and hour do not begin with a star) that the clock skips fires at the first
minute after the gap; one that comes twice fires the first time. A wildcard fires at every minute whose wall time matches, so in
a gap not at all and in a repeated hour twice. Never a fire that is not after the one before.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

CatchUp = Literal["none", "last", "all"]
_MINUTE = timedelta(minutes=1)


class CronProblem(ValueError):
    """The expression or the zone is none, or it never fires; the message says which part."""


@dataclass(frozen=True, slots=True)
class DueFires:
    """`fire`: instants to fire now, oldest first; `missed`: instants that are only counted; `next`: the next one to arm."""

    fire: tuple[datetime, ...]
    missed: int
    next: datetime


def check(expression: str, zone: str) -> None:
    """Raises CronProblem for what can never be armed."""
    next_fire(expression, zone, datetime(2024, 1, 1, tzinfo=UTC))


def next_fire(expression: str, zone: str, after: datetime) -> datetime:
    """The first fire after the instant, in UTC. Raises CronProblem."""
    return next(fires(expression, zone, after))


def fires(expression: str, zone: str, after: datetime) -> Iterator[datetime]:
    """Every fire after the instant, each later than the one before."""
    last = after.astimezone(UTC)
    while True:
        last = _next(expression, _zone(zone), last)
        yield last


def due_fires(expression: str, zone: str, last: datetime, now: datetime, catch_up: CatchUp, most: int) -> DueFires:
    """What to do at `now` when the last fire was `last`. Of several that are due the newest is no missed one.

    `none`: it alone fires if it is due this very minute; `last`: the newest fires; `all`: the newest `most` fire. The others
    are counted, up to 100,000.
    """
    due: list[datetime] = []
    following = last
    for following in islice(fires(expression, zone, last), 100_000):
        if following > now:
            break
        due.append(following)
    else:
        following = next_fire(expression, zone, now)
    kept = {"none": 1 if due and now - due[-1] < _MINUTE else 0, "last": 1, "all": max(most, 1)}[catch_up]
    fire = tuple(due[len(due) - min(kept, len(due)) :])
    return DueFires(fire, len(due) - len(fire), following)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise CronProblem(f"{name!r} is no time zone") from error


def _next(expression: str, zone: ZoneInfo, last: datetime) -> datetime:
    if len(expression.split()) != 5:
        raise CronProblem("expected five fields: minute, hour, day of month, month, day of week")
    try:
        return _fixed(expression, zone, last) if _is_fixed(expression) else _wildcard(expression, zone, last)
    except CronSimError as error:
        raise CronProblem(str(error)) from error
    except (StopIteration, OverflowError) as error:
        raise CronProblem("never fires") from error


def _is_fixed(expression: str) -> bool:
    minute, hour, *_ = expression.split()
    return not minute.startswith("*") and not hour.startswith("*")


def _fixed(expression: str, zone: ZoneInfo, last: datetime) -> datetime:
    """cronsim's own answer for fixed times, but never one that is not after the last: in a repeated hour it steps back."""
    for found in CronSim(expression, last.astimezone(zone)):
        if (instant := found.astimezone(UTC)) > last:
            return instant
    raise StopIteration


def _wildcard(expression: str, zone: ZoneInfo, last: datetime) -> datetime:
    """Wall time by wall time between clock changes: there the wall runs with the clock, and cronsim sees no zone at all.

    Its own steps of an hour miss minutes where a zone moves by half an hour.
    """
    start = last.replace(second=0, microsecond=0) + _MINUTE
    while True:
        wall = start.astimezone(zone)
        offset = wall.utcoffset()
        assert offset is not None
        naive = wall.replace(tzinfo=None)
        found = start + (next(CronSim(expression, naive - _MINUTE)) - naive)
        change = _change_before(zone, start, offset, found)
        if change is None:
            return found
        start = change


def _change_before(zone: ZoneInfo, start: datetime, offset: timedelta, end: datetime) -> datetime | None:
    """The first minute up to `end` at which the zone's offset is another; None when there is none. Changes are days apart."""
    low = start
    while low < end:
        high = min(low + timedelta(hours=24), end)
        if high.astimezone(zone).utcoffset() != offset:
            while high - low > _MINUTE:
                middle = low + timedelta(minutes=(high - low) // _MINUTE // 2)
                low, high = (low, middle) if middle.astimezone(zone).utcoffset() != offset else (middle, high)
            return high
        low = high
    return None
