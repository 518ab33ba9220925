"""Cron in zones: no fire missed, none doubled, against tables that are built minute by minute from the zone alone."""

import zoneinfo
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from domain.timers.cron import CronProblem, check, due_fires, fires, next_fire

MINUTE = timedelta(minutes=1)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def clock_changes(zone: ZoneInfo, first: datetime, last: datetime) -> Iterator[datetime]:
    """Minutes at which the offset is another one than a minute before."""
    day = first
    while day < last:
        if day.astimezone(zone).utcoffset() != (day + timedelta(days=1)).astimezone(zone).utcoffset():
            low, high = day, day + timedelta(days=1)
            while high - low > MINUTE:
                middle = low + timedelta(minutes=(high - low) // MINUTE // 2)
                same = middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            yield high
        day += timedelta(days=1)


def matches(expression: str, wall: datetime) -> bool:
    """Whether a wall time is one of the expression's: numbers, lists, steps and stars of minute and hour, all days."""
    minute, hour, *days = expression.split()
    assert days == ["*", "*", "*"]
    return _field(minute, wall.minute, 60) and _field(hour, wall.hour, 24)


def _field(text: str, value: int, size: int) -> bool:
    for part in text.split(","):
        span, _, step = part.partition("/")
        numbers = set(range(0, size, int(step or 1))) if span == "*" else {int(span)}
        if value in numbers:
            return True
    return False


Minutes = Sequence[tuple[datetime, datetime]]


def minutes(zone: ZoneInfo, first: datetime, last: datetime) -> Minutes:
    """Every minute and the wall time that it shows."""
    count = (last - first) // MINUTE + 1
    return [(now := first + number * MINUTE, now.astimezone(zone).replace(tzinfo=None)) for number in range(count)]


def reference(expression: str, walls: Minutes, after: datetime) -> list[datetime]:
    """Every fire after an instant, minute by minute, by Debian's rules; nothing of cronsim or of ours in it."""
    minute, hour, *_ = expression.split()
    fixed = not minute.startswith("*") and not hour.startswith("*")
    found: list[datetime] = []
    # Wall times that came already: a fixed one that comes twice fires the first time.
    seen: set[datetime] = set()
    before = walls[0][1] - MINUTE
    for now, wall in walls:
        fire = matches(expression, wall)
        if fixed:
            fire = fire and wall not in seen
            # The clock jumped: what it skipped fires now.
            skipped = before + MINUTE
            while skipped < wall:
                fire = fire or (matches(expression, skipped) and skipped not in seen)
                seen.add(skipped)
                skipped += MINUTE
            seen.add(wall)
        if fire and now > after:
            found.append(now)
        before = wall
    return found


FIXED = ("0 0 * * *", "30 1 * * *", "0 2 * * *", "15,45 2 * * *", "30 2 * * *", "59 23 * * *", "0 3 * * *", "5 0,1,2,3 * * *")
WILDCARD = ("* * * * *", "*/15 * * * *", "30 * * * *", "0 */2 * * *", "*/20 2 * * *", "* 3 * * *", "45 */3 * * *")
YEARS = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC))
# Half an hour, a change at midnight, a whole day, two changes a year round Ramadan, north and south.
HARD = (
    "Australia/Lord_Howe", "Africa/Cairo", "Asia/Beirut", "America/Santiago", "Africa/Casablanca", "Europe/Berlin",
    "America/New_York", "America/Havana", "Europe/Dublin", "Asia/Gaza", "Pacific/Norfolk", "America/Scoresbysund",
    "Asia/Almaty", "Antarctica/Troll",
)  # fmt: skip


def differences(name: str, years: tuple[datetime, datetime], expressions: tuple[str, ...]) -> list[str]:
    """Fires that are missed or doubled within a day of a zone's clock changes."""
    zone, found = ZoneInfo(name), []
    for change in clock_changes(zone, *years):
        first, last = change - timedelta(hours=26), change + timedelta(hours=26)
        walls = minutes(zone, first - timedelta(days=1), last)
        for expression in expressions:
            wanted = reference(expression, walls, first)
            made = list(takewhile(last.__ge__, fires(expression, name, first)))
            if made != wanted:
                found.append(f"{name} {change} {expression}: missed {set(wanted) - set(made)}, added {set(made) - set(wanted)}")
    return found


@pytest.mark.requirement("trap-24")
@pytest.mark.parametrize("name", HARD)
def test_no_fire_is_missed_or_doubled_at_a_clock_change(name: str) -> None:
    years = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC))
    assert differences(name, years, (*FIXED[1:6], *WILDCARD[1:6])) == []


def test_the_hard_zones_have_clock_changes_and_the_table_would_find_a_plain_loop() -> None:
    """The negative control: the library without our guard and our own wildcards."""
    assert all(list(clock_changes(ZoneInfo(name), *YEARS)) for name in HARD)
    assert set(HARD) <= zoneinfo.available_timezones()
    zone, after = ZoneInfo("Europe/Berlin"), instant("2024-10-27T01:10:00+01:00")
    assert next(CronSim("30 2 * * *", after.astimezone(zone))).astimezone(UTC) > after
    twice = instant("2024-10-27T02:10:00+01:00")
    assert next(CronSim("30 2 * * *", twice.astimezone(zone))).astimezone(UTC) < twice
    assert next_fire("30 2 * * *", "Europe/Berlin", twice) == instant("2024-10-28T02:30:00+01:00")


@pytest.mark.parametrize(
    ("expression", "zone", "says"),
    [
        ("* * * *", "UTC", "five fields"),
        ("* * * * * *", "UTC", "five fields"),
        ("61 * * * *", "UTC", "minute"),
        ("0 0 30 2 *", "UTC", "day-of-month"),
        ("0 0 * * MON#6", "UTC", "day-of-week"),
        ("0 8 * * *", "Mars/Olympus", "no time zone"),
        ("0 8 * * *", "../etc/passwd", "no time zone"),
    ],
)
def test_what_can_never_fire_is_refused(expression: str, zone: str, says: str) -> None:
    with pytest.raises(CronProblem, match=says):
        check(expression, zone)


def test_missed_fires_are_caught_up_as_asked() -> None:
    last, now = instant("2026-03-01T08:00:00Z"), instant("2026-03-01T12:30:20Z")
    due = [instant(f"2026-03-01T{hour:02}:00:00Z") for hour in (9, 10, 11, 12)]
    following = instant("2026-03-01T13:00:00Z")

    def at(catch_up: str, most: int = 10) -> tuple[tuple[datetime, ...], int, datetime]:
        found = due_fires("0 * * * *", "UTC", last, now, catch_up, most)  # type: ignore[arg-type]
        return found.fire, found.missed, found.next

    assert at("none") == ((), 4, following)
    assert at("last") == ((due[3],), 3, following)
    assert at("all") == (tuple(due), 0, following)
    assert at("all", 2) == (tuple(due[2:]), 2, following)


def test_a_fire_that_is_due_now_is_no_missed_one() -> None:
    now = instant("2026-03-01T09:00:03Z")
    found = due_fires("0 * * * *", "UTC", instant("2026-03-01T08:00:00Z"), now, "none", 1)
    assert (found.fire, found.missed) == ((instant("2026-03-01T09:00:00Z"),), 0)
    assert due_fires("0 * * * *", "UTC", instant("2026-03-01T09:00:00Z"), now, "all", 5).fire == ()
