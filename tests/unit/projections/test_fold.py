"""The board's fold: pure, total, business time only."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.work_item_board import TIMED, BoardEvent, BoardRow, fold
from schemas.work_items import (
    WorkItemAssigned,
    WorkItemCreated,
    WorkItemDraftSaved,
    WorkItemFieldsChanged,
    WorkItemStatusChanged,
)

START = datetime(2026, 1, 5, 8, tzinfo=UTC)


def event(model: type[Any], minutes: float, **fields: Any) -> Any:
    known = {"work_item_id": "w1", "version": 1, "changed_by": "u1", "changed_at": START + timedelta(minutes=minutes)}
    return model(**known, source="CRM_UI", **fields)


def moved(minutes: float, old: str, new: str, action: str) -> WorkItemStatusChanged:
    return event(WorkItemStatusChanged, minutes, old_status=old, new_status=new, action=action)


def folded(*events: BoardEvent) -> BoardRow:
    row: BoardRow | None = None
    for one in events:
        row = fold(row, one, "acme")
    assert row is not None
    return row


CREATED = event(WorkItemCreated, 0, priority="high", process="general")
SUBMITTED = moved(0, "draft", "open", "Submit")


@pytest.mark.requirement("SP-6", "trap-50")
def test_a_reopening_clears_when_it_was_resolved_and_closed_and_counts() -> None:
    row = folded(
        CREATED,
        SUBMITTED,
        moved(5, "open", "in_progress", "StartWork"),
        moved(20, "in_progress", "resolved", "Resolve"),
        moved(25, "resolved", "closed", "Close"),
        moved(90, "closed", "in_progress", "Reopen"),
    )
    assert (row.resolved_at, row.closed_at, row.reopen_count) == (None, None, 1)
    assert (row.seconds_open, row.seconds_in_progress, row.seconds_resolved) == (300, 900, 300)
    assert row.opened_at == START
    assert row.status_since == START + timedelta(minutes=90)


def test_changed_fields_replace_values_and_nothing_else() -> None:
    edited = event(WorkItemFieldsChanged, 3, changed_fields=("priority", "title", "due_at"), priority="low", due_at=None)
    row = folded(CREATED, SUBMITTED, edited)
    assert (row.priority, row.process, row.due_at, row.status) == ("low", "general", None, "open")


def test_an_assignment_counts_and_may_be_taken_back() -> None:
    row = folded(
        CREATED,
        event(WorkItemAssigned, 1, new_assignee_id="u7"),
        event(WorkItemAssigned, 2, old_assignee_id="u7", new_assignee_id=None),
    )
    assert (row.assignee_id, row.assignment_count) == (None, 2)


def test_a_draft_is_not_opened_until_it_is_sent() -> None:
    row = folded(event(WorkItemDraftSaved, 0, priority="low"))
    assert (row.status, row.opened_at, row.drafted_at) == ("draft", None, START)
    row = fold(fold(row, CREATED, "acme"), moved(60, "draft", "open", "Submit"), "acme")
    assert (row.seconds_draft, row.opened_at) == (3600, START + timedelta(minutes=60))


def test_a_history_that_begins_in_the_middle_starts_with_what_the_event_says() -> None:
    row = folded(moved(0, "in_progress", "resolved", "Resolve"))
    assert (row.status, row.seconds_in_progress, row.resolved_at) == ("resolved", 0, START)


@given(st.lists(st.tuples(st.sampled_from(sorted(TIMED)), st.integers(0, 10_000)), min_size=1, max_size=30))
def test_the_seconds_of_all_statuses_add_up_to_the_time_that_passed(moves: list[tuple[str, int]]) -> None:
    events: list[BoardEvent] = [CREATED]
    minutes, old = 0, "draft"
    for new, step in moves:
        minutes += step
        events.append(moved(minutes, old, new, "BackToInProgress"))
        old = new
    row = folded(*events)
    spent = sum(getattr(row, f"seconds_{status}") for status in TIMED)
    assert spent == minutes * 60
