"""Where a move of a group leads, as a table of cases and for all positions."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.operations.decisions import (
    Bounds,
    Move,
    Target,
    effects_said,
    inbox_ages,
    plan_moves,
    refuse_below_inbox,
)
from runtime.cli.offsets import target_of
from schemas.errors import ConfigurationError, Rejected
from schemas.registry import Group, Place

HERE = Place("crm.entity.events", 0)
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
EFFECTS = Group("effects", ("crm.entity.events",))
FOR_EVER = Group("work-items", ("work-items.commands.v1",), inbox="forever")
KEYED = Group("workflow-engine", ("crm.entity.events",), own_keys=True)
TABLE = Group("projections.x.v1", ("work-items.events.v1",), rebuilds=True)


def plan(target: Target, at: int | None = 50, begin: int = 10, end: int = 100, low_water: int = 0, instant: int | None = None):
    standing = {} if at is None else {HERE: at}
    instants = {} if instant is None else {HERE: instant}
    return plan_moves(target, standing, {HERE: Bounds(begin, end)}, instants, {HERE: low_water})


@pytest.mark.parametrize(
    ("target", "instant", "to", "again", "skipped"),
    [
        (Target("earliest"), None, 10, 40, 0),
        (Target("latest"), None, 100, 0, 50),
        (Target("offset", 60), None, 60, 0, 10),
        (Target("shift", -5), None, 45, 5, 0),
        (Target("shift", -500), None, 10, 40, 0),
        (Target("shift", 500), None, 100, 0, 50),
        (Target("instant"), 20, 20, 30, 0),
        (Target("instant"), None, 100, 0, 50),
    ],
)
def test_a_target_becomes_an_offset_and_its_cost(
    target: Target, instant: int | None, to: int, again: int, skipped: int
) -> None:
    (move,) = plan(target, instant=instant)

    assert (move.to, move.again, move.skipped) == (to, again, skipped)


def test_a_group_that_stands_there_already_is_not_moved() -> None:
    assert plan(Target("offset", 50)) == []


def test_a_group_that_never_began_starts_where_it_is_told() -> None:
    (move,) = plan(Target("latest"), at=None)

    assert (move.at, move.to, move.skipped) == (None, 100, 90)


@pytest.mark.parametrize("offset", [9, 101])
def test_an_offset_that_kafka_does_not_have_is_refused(offset: int) -> None:
    refused = plan(Target("offset", offset))

    assert isinstance(refused, Rejected)
    assert refused.code == "OffsetOutOfRange"


@given(st.integers(0, 200), st.integers(0, 100), st.integers(0, 100), st.integers(-300, 300))
def test_no_move_ever_leads_outside_what_kafka_has(at: int, begin: int, length: int, shift: int) -> None:
    for target in (Target("earliest"), Target("latest"), Target("shift", shift)):
        for move in plan(target, at=at, begin=begin, end=begin + length):
            assert begin <= move.to <= begin + length
            assert move.again == 0 or move.skipped == 0


def test_below_the_low_water_mark_a_reason_is_asked_for() -> None:
    moves = plan(Target("earliest"), low_water=30)

    refused = refuse_below_inbox(moves, None)
    assert refused is not None
    assert refused.code == "BelowInbox"
    assert refuse_below_inbox(moves, "the mails were never sent") is None
    assert refuse_below_inbox(plan(Target("offset", 30), low_water=30), None) is None


@pytest.mark.requirement("SP-6")
@pytest.mark.parametrize(
    ("group", "below", "said"),
    [
        (TABLE, False, "none: a projection"),
        (FOR_EVER, False, "none: the group remembers for ever"),
        (KEYED, True, "none: what the group does has keys of its own"),
        (EFFECTS, False, "none: the inbox still knows"),
        (EFFECTS, True, "POSSIBLE"),
    ],
)
def test_the_dry_run_says_which_effects_may_repeat(group: Group, below: bool, said: str) -> None:
    assert effects_said(group, [Move(HERE, 50, 10, Bounds(0, 100), below)]).startswith(said)
    assert effects_said(group, [Move(HERE, 50, 60, Bounds(0, 100))]) == "none: nothing is read again"


@pytest.mark.requirement("SP-3")
def test_inbox_rows_outlive_the_longest_retention_and_some_stay_for_ever() -> None:
    kept_for_ever = Group("table", ("crm.entity.events", "work-items.events.v1"))

    ages = inbox_ages([EFFECTS, FOR_EVER, kept_for_ever], timedelta(days=7))

    assert ages == {"effects": timedelta(days=14)}


def test_an_instant_needs_a_zone() -> None:
    for text in ("2026-01-31T08:00:00", "yesterday", ""):
        with pytest.raises(ConfigurationError, match="zone"):
            target_of({"--to-datetime": text}, NOW)
    assert target_of({"--to-datetime": "2026-01-31T08:00:00+07:00"}, NOW)[1] == datetime(2026, 1, 31, 1, tzinfo=UTC)


def test_a_duration_is_counted_back_from_now() -> None:
    assert target_of({"--by-duration": "P1DT2H30M"}, NOW)[1] == NOW - timedelta(days=1, hours=2, minutes=30)
    for text in ("P", "PT", "1h", "P-1D"):
        with pytest.raises(ConfigurationError, match="by-duration"):
            target_of({"--by-duration": text}, NOW)


def test_exactly_one_target_is_taken() -> None:
    with pytest.raises(ConfigurationError, match="found none"):
        target_of({"--to-offset": None, "--to-latest": None}, NOW)
    with pytest.raises(ConfigurationError, match="exactly one"):
        target_of({"--to-offset": 1, "--to-latest": True}, NOW)
