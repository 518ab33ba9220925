"""The tables against the document's own words, written down here a second time and in another form."""

from itertools import product

import pytest

from domain.work_items.decisions import Decided, Unchanged, decide_action
from domain.work_items.transitions import (
    ACTIONS,
    CONTROLS,
    INTERNAL_ACTIONS,
    PERMISSIONS,
    STATUS_LABELS,
    STATUSES,
    TRANSITIONS,
    UI_ACTIONS,
    allowed_next_actions,
    choices,
    permits,
)
from schemas.errors import Rejected
from schemas.work_items import Action, Status
from tests.unit.domain.work_items import NOW, act, caller, engine, item

# Rows: actions. Columns: draft open in_progress w_internal w_customer w_external resolved closed canceled rejected archived.
# A letter is the status it leads to, '.' is refused, '-' is a quiet no-op.
GRID = """
Submit                 o . . . . . . . . . .
Assign                 . p p . . . . . . . .
StartWork              . p . . . . . . . . .
SetWaitingInternal     . . i . . . . . . . .
SetWaitingCustomer     . . c . . . . . . . .
SetWaitingExternal     . . e . . . . . . . .
BackToInProgress       . . . p p p . . . . .
Resolve                . . r r r r . . . . .
Close                  . . . . . . x . . . .
Cancel                 n n n n n n . . . . .
Reject                 j j . . . . . . . . .
Reopen                 . . . . . . p p . . .
AutoCloseFromWorkflow  . . x x x x x - - - -
Archive                . . . . . . . a a a .
"""
LETTERS = {
    "o": "open",
    "p": "in_progress",
    "i": "waiting_internal",
    "c": "waiting_customer",
    "e": "waiting_external",
    "r": "resolved",
    "x": "closed",
    "n": "canceled",
    "j": "rejected",
    "a": "archived",
}
CELLS = [
    (line.split()[0], status, mark)
    for line in GRID.strip().splitlines()
    for status, mark in zip(STATUSES, line.split()[1:], strict=True)
]


@pytest.mark.requirement("WI-1", "trap-47", "trap-49", "trap-54")
@pytest.mark.parametrize(("action", "status", "mark"), CELLS)
def test_every_cell_of_the_table(action: str, status: Status, mark: str) -> None:
    outcome = decide_action(item(status), act(action, new_assignee_id="cy"), engine(), NOW, assignee_active=True)
    match mark:
        case ".":
            assert isinstance(outcome, Rejected)
            assert outcome.code == "InvalidTransition"
            assert outcome.message == f"Action {action} is not allowed from status {status}"
            assert outcome.details["allowedNextActions"] == allowed_next_actions(status)
        case "-":
            assert isinstance(outcome, Unchanged)
            assert outcome.item == item(status)
        case _:
            assert isinstance(outcome, Decided)
            assert outcome.after.status == LETTERS[mark]


def test_there_are_154_cells_of_which_33_lead_somewhere_and_4_are_quiet() -> None:
    marks = [mark for _, _, mark in CELLS]
    assert (len(marks), marks.count("."), marks.count("-")) == (154, 117, 4)
    assert len({(action, status) for action, status, _ in CELLS}) == 154
    assert {action for action, _, _ in CELLS} == set(ACTIONS) - {"Create"} == set(TRANSITIONS)


HAPPY = [
    ("draft", "Submit", "open"),
    ("open", "StartWork", "in_progress"),
    ("in_progress", "SetWaitingCustomer", "waiting_customer"),
    ("waiting_customer", "BackToInProgress", "in_progress"),
    ("in_progress", "Resolve", "resolved"),
    ("resolved", "Close", "closed"),
    ("open", "Cancel", "canceled"),
    ("open", "Reject", "rejected"),
    ("resolved", "Reopen", "in_progress"),
    ("in_progress", "AutoCloseFromWorkflow", "closed"),
]
FORBIDDEN = [("closed", "SetWaitingCustomer"), ("canceled", "Reopen"), ("rejected", "Resolve"), ("draft", "Close")]


@pytest.mark.requirement("WI-1")
@pytest.mark.parametrize(("status", "action", "expected"), HAPPY)
def test_the_documents_happy_paths_1_to_10(status: Status, action: str, expected: Status) -> None:
    outcome = decide_action(item(status), act(action), engine(), NOW)
    assert isinstance(outcome, Decided)
    assert outcome.after.status == expected


@pytest.mark.requirement("WI-1", "trap-47")
@pytest.mark.parametrize(("status", "action"), FORBIDDEN)
def test_the_documents_invalid_transitions_11_to_14(status: Status, action: str) -> None:
    outcome = decide_action(item(status), act(action), caller(), NOW)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "InvalidTransition"


NEXT = {
    "draft": {"Submit", "Cancel", "Reject"},
    "open": {"Assign", "StartWork", "Cancel", "Reject"},
    "in_progress": {"Assign", "SetWaitingInternal", "SetWaitingCustomer", "SetWaitingExternal", "Resolve", "Cancel"},
    "waiting_internal": {"BackToInProgress", "Resolve", "Cancel"},
    "waiting_customer": {"BackToInProgress", "Resolve", "Cancel"},
    "waiting_external": {"BackToInProgress", "Resolve", "Cancel"},
    "resolved": {"Close", "Reopen"},
    "closed": {"Reopen"},
    "canceled": set(),
    "rejected": set(),
    "archived": set(),
}


@pytest.mark.requirement("WI-3")
@pytest.mark.parametrize("status", STATUSES)
def test_the_next_actions_are_those_of_the_document(status: Status) -> None:
    assert set(allowed_next_actions(status)) == NEXT[status]
    assert allowed_next_actions(status, ["viewer"]) == ()
    assert set(allowed_next_actions(status, ["agent"])) == NEXT[status] - {"Reject", "Reopen"}


@pytest.mark.requirement("WI-3")
def test_next_actions_come_in_the_documents_order() -> None:
    assert allowed_next_actions("waiting_customer") == ("BackToInProgress", "Resolve", "Cancel")


MAY = """
Create                 agent supervisor admin import engine
Submit                 agent supervisor admin import engine
Assign                 agent supervisor admin import engine
StartWork              agent supervisor admin import engine
SetWaitingInternal     agent supervisor admin import engine
SetWaitingCustomer     agent supervisor admin import engine
SetWaitingExternal     agent supervisor admin import engine
BackToInProgress       agent supervisor admin import engine
Resolve                agent supervisor admin import engine
Close                  agent supervisor admin import engine
Cancel                 agent supervisor admin import engine
Reject                 supervisor admin import engine
Reopen                 supervisor admin import engine
AutoCloseFromWorkflow  engine
Archive                admin engine
"""
ROLE_CELLS = [
    (role, line.split()[0], role in line.split()[1:])
    for line in MAY.strip().splitlines()
    for role in [*PERMISSIONS, "somebody"]
]


@pytest.mark.requirement("WI-1")
@pytest.mark.parametrize(("role", "action", "may"), ROLE_CELLS)
def test_every_cell_of_role_and_action(role: str, action: Action, may: bool) -> None:
    assert permits([role], action) is may
    if action == "Create":
        return
    status = next(iter(TRANSITIONS[action]))
    outcome = decide_action(
        item(status), act(action, new_assignee_id="cy"), caller(role, internal=True), NOW, assignee_active=True
    )
    assert isinstance(outcome, Decided) is may
    assert may or (isinstance(outcome, Rejected) and outcome.code == "PermissionDenied")


@pytest.mark.requirement("WI-8")
def test_the_labels_are_the_documents() -> None:
    labels = "Nháp, Mở, Đang xử lý, Chờ nội bộ, Chờ khách hàng, Chờ bên thứ ba, Đã xử lý, Đã đóng, Đã huỷ, Từ chối, Lưu trữ"
    assert [STATUS_LABELS[status].vi for status in STATUSES] == labels.split(", ")
    assert all(label.en for label in STATUS_LABELS.values())


@pytest.mark.requirement("WI-9", "trap-54", "trap-61")
@pytest.mark.parametrize("status", STATUSES)
def test_the_screen_offers_what_the_document_maps(status: Status) -> None:
    offered = {choice.key: choice for choice in choices(status)}
    waiting = status.startswith("waiting")
    assert offered["in_progress"].action == ("StartWork" if status == "open" else "BackToInProgress" if waiting else None)
    assert offered["in_progress"].label.vi == "Đang xử lý"
    assert offered["in_progress"].target_status == "in_progress"
    for key in ("waiting_internal", "waiting_customer", "waiting_external"):
        assert offered[key].enabled is (status == "in_progress")
    assert offered["pause"].action == ("SetWaitingInternal" if status == "in_progress" else None)
    assert (offered["pause"].label.vi, offered["pause"].target_status) == ("Tạm dừng", "waiting_internal")
    cancels = status in ("draft", "open", "in_progress") or waiting
    assert offered["close"].label.vi == "Đóng"
    assert offered["close"].action == ("Close" if status == "resolved" else "Cancel" if cancels else None)
    assert offered["close"].enabled is (status not in ("closed", "canceled", "rejected", "archived"))


@pytest.mark.requirement("WI-9")
def test_what_the_screen_offers_is_legal_and_what_a_role_may_not_do_is_disabled() -> None:
    for control, status in product(CONTROLS, STATUSES):
        choice = control.choice(status)
        if choice.action is not None:
            assert choice.action in allowed_next_actions(status)
            assert TRANSITIONS[choice.action][status] == choice.target_status
        assert not control.choice(status, ["viewer"]).enabled


def test_internal_actions_are_never_offered() -> None:
    assert set(UI_ACTIONS) | INTERNAL_ACTIONS == set(ACTIONS)
    assert not INTERNAL_ACTIONS & {action for control in CONTROLS for action in control.actions.values()}
