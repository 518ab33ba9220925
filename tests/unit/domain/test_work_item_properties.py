"""Any sequence of commands: history stays a valid path, numbers stay gapless, the item stays the fold of its history."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.work_items.decisions import Decided, Numbered, Step, Unchanged, WorkItem, decide_action, decide_create, evolve
from domain.work_items.editing import Edited, decide_edit
from domain.work_items.item import begin
from domain.work_items.transitions import ACTIONS, CLOSING, ENDED, next_status
from schemas.work_items import WorkItemFieldsChanged
from tests.unit.domain.work_items import EARLIER, NOW, act, caller, create, engine, importer, item

CALLERS = [caller(), caller("agent"), caller("viewer"), engine(), importer()]
PEOPLE: dict[str, bool] = {"an": True, "bo": True, "gone": False}

commands = st.builds(
    act,
    st.sampled_from([*ACTIONS, "Nonsense"]),
    new_assignee_id=st.sampled_from([None, "an", "bo", "gone", "nobody"]),
    expected_version=st.one_of(st.none(), st.none(), st.integers(1, 6)),
    cycle=st.one_of(st.none(), st.integers(0, 2)),
    occurred_at=st.one_of(st.none(), st.integers(0, 90_000).map(lambda n: EARLIER + timedelta(seconds=n))),
)
edits = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.sampled_from(["high", "low"]),
        "title": st.text(min_size=1, max_size=3),
        "scope": st.sampled_from([None, "internal"]),
        "assignee_id": st.sampled_from([None, "an", "bo"]),
    },
)
moves = st.lists(st.tuples(st.one_of(commands, edits), st.sampled_from(CALLERS), st.integers(0, 60)), max_size=25)


@pytest.mark.requirement("WI-1", "WI-2", "trap-59", "trap-60")
@pytest.mark.hole("sequence-per-event")
@given(draft=st.booleans(), moves=moves)
def test_history_version_and_numbers_of_any_life(draft: bool, moves: list[tuple[Any, Any, int]]) -> None:
    born = decide_create(None, create(draft=draft), caller(), EARLIER, coupling="strong")
    assert isinstance(born, Decided)
    item, steps, events, edited = born.after, list(born.steps), list(born.events), 0
    now = EARLIER
    for move, who, seconds in moves:
        now += timedelta(seconds=seconds)
        if isinstance(move, dict):
            item, told = _edited(item, move, now)
            events += told
            edited += bool(told)
            continue
        outcome = decide_action(item, move, who, max(now, NOW), assignee_active=PEOPLE.get(move.new_assignee_id or ""))
        if isinstance(outcome, Decided):
            assert outcome.before == item
            item, steps, events = outcome.after, steps + list(outcome.steps), events + list(outcome.events)
        elif isinstance(outcome, Unchanged):
            assert outcome.item == item
    _check_path(steps)
    assert [event.sequence for event in events] == list(range(1, item.event_sequence + 1))
    assert item.version == len(steps) + edited
    assert item.cycle == sum(step.action == "Reopen" for step in steps)
    assert (item.closed_at is not None) == (item.status in ENDED)
    closings = [step.occurred_at for step in steps if step.to_status in CLOSING]
    assert item.closed_at is None or item.closed_at == closings[-1]
    assert [event.payload.TYPE for event in events].count("WORK_ITEM_CREATED") == ("Submit" in [s.action for s in steps])


def _edited(item: WorkItem, changes: dict[str, Any], now: datetime) -> tuple[WorkItem, tuple[Numbered, ...]]:
    outcome = decide_edit(item, item.id, changes, caller(), now, coupling="strong", assignee_active=True)
    return (outcome.after, outcome.events) if isinstance(outcome, Edited) else (item, ())


def _check_path(steps: list[Step]) -> None:
    assert [step.position for step in steps] == list(range(1, len(steps) + 1))
    assert (steps[0].from_status, steps[0].to_status, steps[0].action) == (None, "draft", "Create")
    for earlier, later in pairwise(steps):
        assert later.from_status == earlier.to_status
        assert later.occurred_at >= earlier.occurred_at
        assert next_status(later.action, earlier.to_status) == later.to_status


@given(moves=st.lists(st.tuples(commands, st.sampled_from(CALLERS)), max_size=25))
def test_an_item_is_the_fold_of_its_history(moves: list[tuple[Any, Any]]) -> None:
    command = create()
    born = decide_create(None, command, caller(), EARLIER, coupling="loose")
    assert isinstance(born, Decided)
    item, steps = born.after, list(born.steps)
    for move, who in moves:
        outcome = decide_action(item, move, who, NOW, assignee_active=PEOPLE.get(move.new_assignee_id or ""))
        if isinstance(outcome, Decided):
            item, steps = outcome.after, steps + list(outcome.steps)
    folded = begin(command, "north", "loose", EARLIER)
    for step in steps:
        folded = evolve(folded, step)
    assert replace(folded, event_sequence=item.event_sequence) == item


class TestEdits:
    @pytest.mark.requirement("WI-5")
    def test_an_edit_raises_the_version_and_touches_no_history(self) -> None:
        outcome = decide_edit(item(), "x", {"priority": "high", "title": "secret"}, caller(), NOW, coupling="strong")
        assert isinstance(outcome, Edited)
        assert (outcome.after.version, outcome.after.history_length, outcome.after.status) == (8, 6, "in_progress")
        (event,) = outcome.events
        assert isinstance(event.payload, WorkItemFieldsChanged)
        assert (event.payload.changed_fields, event.payload.priority) == (("title", "priority"), "high")
        assert b"secret" not in event.payload.to_json()

    @pytest.mark.requirement("WI-5")
    @pytest.mark.parametrize(
        ("given", "changes", "expected_version", "who", "code"),
        [
            (item("archived"), {"scope": "x"}, None, caller(), "ConflictState"),
            (item("open"), {"process": "other"}, None, caller(), "ConflictState"),
            (item(), {"scope": "x"}, 6, caller(), "ConflictState"),
            (item(), {"assignee_id": "cy"}, None, caller(), "UnknownAssignee"),
            (item(), {"scope": "x"}, None, caller("viewer"), "PermissionDenied"),
            (None, {"scope": "x"}, None, caller(), "WorkItemNotFound"),
        ],
    )
    def test_refused_edits(self, given: Any, changes: Any, expected_version: Any, who: Any, code: str) -> None:
        outcome = decide_edit(given, "x", changes, who, NOW, coupling="strong", expected_version=expected_version)
        assert getattr(outcome, "code", None) == code

    def test_what_is_equal_already_is_no_change(self) -> None:
        outcome = decide_edit(item(), "x", {"priority": "medium", "scope": None}, caller(), NOW, coupling="strong")
        assert getattr(outcome, "events", None) == ()

    def test_a_draft_may_change_its_process_and_with_it_its_coupling(self) -> None:
        outcome = decide_edit(item("draft"), "x", {"process": "aml-watch"}, caller(), NOW, coupling="loose")
        assert isinstance(outcome, Edited)
        assert outcome.after.coupling == "loose"

    def test_an_unknown_field_is_a_mistake_of_the_door(self) -> None:
        with pytest.raises(ValueError, match="no editable fields"):
            decide_edit(item(), "x", {"status": "closed"}, caller(), NOW, coupling="strong")
