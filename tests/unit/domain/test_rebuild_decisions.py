"""What a rebuild may become, what refuses it, how far it is: given, when, then."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.rebuilds.decisions import (
    LEAST_SLICE,
    MOST_SLICES,
    OPEN,
    PARITY_VALID,
    Event,
    Parity,
    State,
    TopicFacts,
    has_passed,
    is_caught_up,
    lay_slices,
    next_state,
    over_budget,
    progress_of,
    refuse_incomplete,
    refuse_retire,
    refuse_switch,
    version_before,
)
from schemas.errors import Rejected
from schemas.registry import Place

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.requirement("CD-13")
@pytest.mark.parametrize(
    "path",
    [
        ["plan", "prepare", "catch-up", "finish"],
        ["plan", "prepare", "scan", "catch-up", "finish"],
        ["plan", "prepare", "scan", "pause", "resume", "catch-up", "pause", "resume", "finish"],
        ["plan", "prepare", "scan", "catch-up", "scan", "catch-up", "finish"],
    ],
)
def test_a_rebuild_gets_ready_on_these_ways(path: list[Event]) -> None:
    state: State = "ordered"
    paused_from: State | None = None
    for event in path:
        following = next_state(state, event, paused_from)
        assert not isinstance(following, Rejected), (state, event)
        paused_from = state if following == "paused" else None
        state = following
    assert state == "ready"


@pytest.mark.parametrize("state", get_args(State))
@pytest.mark.parametrize("event", get_args(Event))
def test_no_event_brings_an_ended_rebuild_back(state: State, event: Event) -> None:
    following = next_state(state, event, "scanning" if state == "paused" else None)
    if state not in OPEN:
        assert isinstance(following, Rejected)
    if event == "cancel" and state in OPEN:
        assert following == "cancelled"


def topic(**changes: object) -> TopicFacts:
    whole: dict[str, object] = {
        "name": "case.snapshots.v1",
        "bounds": {0: (0, 10), 1: (0, 20)},
        "cleanup": "delete",
        "retention_ms": -1,
        "positions": {0: 10, 1: 20},
    }
    return TopicFacts(**{**whole, **changes})  # type: ignore[arg-type]


INCOMPLETE = [
    ({"bounds": {}}, "does not exist"),
    ({"cleanup": "compact"}, "compacted"),
    ({"cleanup": "compact,delete"}, "compacted"),
    ({"bounds": {0: (0, 10), 1: (7, 20)}}, "partition 1 begins at 7"),
    ({"retention_ms": 604_800_000}, "retention.ms"),
    ({"positions": {0: 11}}, "made anew"),
]


@pytest.mark.requirement("CD-13", "trap-88")
@pytest.mark.parametrize(("changes", "said"), INCOMPLETE)
def test_a_topic_that_does_not_reach_back_is_refused_with_the_reason(changes: dict[str, object], said: str) -> None:
    for_cases = refuse_incomplete([topic(**changes)], "topic", "cases")
    for_board = refuse_incomplete([topic(**changes)], "topic", "builtin")
    assert for_cases is not None
    assert for_board is not None
    assert said in for_cases.message
    assert "--from store" in for_cases.message
    assert "no store can fill it in" in for_board.message


@pytest.mark.requirement("trap-88")
def test_a_whole_topic_is_enough_and_the_store_fills_in_for_case_tables_only() -> None:
    assert refuse_incomplete([topic()], "topic", "cases") is None
    assert refuse_incomplete([topic(bounds={0: (5, 10), 1: (0, 20)}, retention_ms=1)], "store", "cases") is None
    refused = refuse_incomplete([topic()], "store", "builtin")
    assert refused is not None
    assert refused.code == "SourceNotThere"


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(1, 64))
def test_slices_cover_the_store_once_and_in_order(first: int, span: int, workers: int) -> None:
    slices = lay_slices(first, first + span, workers)
    assert slices[0][0] == first
    assert slices[-1][1] == first + span
    assert all(before[1] + 1 == after[0] for before, after in pairwise(slices))
    assert len(slices) <= MOST_SLICES
    assert span + 1 < 2 * LEAST_SLICE or len(slices) >= 2


def test_an_empty_store_has_no_slices() -> None:
    assert lay_slices(0, -1, 4) == []


@pytest.mark.parametrize(
    ("errors", "forgiven", "total", "over"),
    [(0, 0, 0, False), (1, 0, 1000, False), (2, 0, 1000, True), (1, 0, 999, True), (2, 2, 10, False), (3, 2, 1000, False)],
)
def test_above_one_in_a_thousand_it_pauses(errors: int, forgiven: int, total: int, over: bool) -> None:
    assert over_budget(errors, forgiven, total, 0.001) is over


def test_caught_up_means_having_passed_ends_of_a_moment_ago() -> None:
    goals = {Place("t", 0): 5, Place("t", 1): 0}
    assert has_passed({Place("t", 0): 5}, goals)
    assert not has_passed({Place("t", 0): 4}, goals)
    assert is_caught_up({Place("t", 0): 6}, goals, 1.0)
    assert not is_caught_up({Place("t", 0): 6}, goals, 60.0), "old goals say nothing about now"


def test_progress_never_says_ready_before_it_is() -> None:
    assert progress_of("catching-up", 100, 100, 5.0).percent == 99.9
    assert progress_of("ready", 100, 100, 0.0).percent == 100.0
    assert progress_of("scanning", 25, 100, 5.0).eta_seconds == 15.0
    assert progress_of("paused", 25, 100, 5.0).eta_seconds is None
    assert progress_of("ordered", 0, 0, 0.0).percent == 0.0


EQUAL = Parity(1, "equal", NOW)
SWITCHES = [
    # state, trial, serving, parity, reason -> code
    ("ready", None, 1, EQUAL, "", None),
    ("standby", None, 1, EQUAL, "", None),
    ("ready", None, None, None, "", None),
    ("ready", None, 1, None, "", "ParityMissing"),
    ("ready", None, 1, Parity(1, "different", NOW), "", "ParityMissing"),
    ("ready", None, 1, Parity(3, "equal", NOW), "", "ParityMissing"),
    ("ready", None, 1, Parity(1, "equal", NOW - PARITY_VALID - timedelta(seconds=1)), "", "ParityMissing"),
    ("ready", None, 1, None, "the old one is known to be wrong", None),
    ("building", None, 1, EQUAL, "in a hurry", "VersionNotReady"),
    ("retired", None, 1, EQUAL, "in a hurry", "VersionNotReady"),
    ("serving", None, 2, EQUAL, "", "AlreadyServing"),
    ("ready", "acme", 1, EQUAL, "in a hurry", "TrialVersion"),
]


@pytest.mark.requirement("CD-13")
@pytest.mark.parametrize(("state", "trial", "serving", "parity", "reason", "code"), SWITCHES)
def test_the_view_moves_only_on_parity_or_with_a_reason(
    state: str, trial: str | None, serving: int | None, parity: Parity | None, reason: str, code: str | None
) -> None:
    refused = refuse_switch(2, state, trial, serving, parity, reason, NOW)
    assert (refused and refused.code) == code


def test_switching_back_goes_to_the_version_that_stood_down_last() -> None:
    assert version_before([3, 1]) == 3
    assert isinstance(version_before([]), Rejected)


@pytest.mark.parametrize(
    ("state", "rebuilding", "code"),
    [
        ("standby", False, None),
        ("ready", False, None),
        ("serving", False, "VersionServes"),
        ("retired", False, "AlreadyRetired"),
        ("building", True, "RebuildRunning"),
    ],
)
def test_what_serves_or_is_being_built_is_not_retired(state: str, rebuilding: bool, code: str | None) -> None:
    refused = refuse_retire(2, state, rebuilding)
    assert (refused and refused.code) == code
