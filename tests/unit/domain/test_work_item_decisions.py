"""Given an item, when a command comes, then this: the codes, their order, and everything the document left open."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.work_items.decisions import (
    Decided,
    InstanceSeen,
    Outcome,
    Unchanged,
    decide_action,
    decide_create,
    decide_instance,
    result_of,
)
from domain.work_items.item import WorkItem
from domain.work_items.transitions import CLOSING
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.onboarding import InstanceStatusChanged
from schemas.work_items import Status, WorkItemAssigned, WorkItemStatusChanged
from tests.unit.domain.work_items import EARLIER, ID, LATER, NOW, act, caller, create, engine, importer, item


def decided(outcome: Outcome) -> Decided:
    assert isinstance(outcome, Decided), outcome
    return outcome


def refused(outcome: Outcome, code: str) -> Rejected:
    assert isinstance(outcome, Rejected), outcome
    assert outcome.code == code, outcome
    return outcome


def unchanged(outcome: Outcome) -> Unchanged:
    assert isinstance(outcome, Unchanged), outcome
    assert not result_of(outcome).status_changed
    return outcome


def event_types(outcome: Outcome) -> list[str]:
    return [event.payload.TYPE for event in decided(outcome).events]


def status_event(outcome: Outcome) -> WorkItemStatusChanged:
    return next(event.payload for event in decided(outcome).events if isinstance(event.payload, WorkItemStatusChanged))


def new(**fields: object) -> Outcome:
    return decide_create(None, create(**fields), caller(), NOW, coupling="strong", assignee_active=True)


class TestCreate:
    @pytest.mark.requirement("WI-4", "trap-59")
    @pytest.mark.hole("sequence-per-event")
    def test_sending_creates_and_submits_with_two_numbered_events(self) -> None:
        outcome = decided(new())
        assert [(step.position, step.from_status, step.to_status, step.action) for step in outcome.steps] == [
            (1, None, "draft", "Create"),
            (2, "draft", "open", "Submit"),
        ]
        assert [(event.sequence, event.payload.TYPE) for event in outcome.events] == [
            (1, "WORK_ITEM_CREATED"),
            (2, "WORK_ITEM_STATUS_CHANGED"),
        ]
        assert (outcome.after.version, outcome.after.event_sequence) == (2, 2)
        assert result_of(outcome).new_status == "open"

    @pytest.mark.requirement("WI-4")
    def test_a_saved_draft_stays_a_draft_and_starts_no_workflow(self) -> None:
        draft = decided(new(draft=True))
        assert draft.after.status == "draft"
        assert event_types(draft) == ["WorkItemDraftSaved"]
        sent = decide_action(draft.after, act("Submit"), caller(), NOW)
        assert event_types(sent) == ["WORK_ITEM_CREATED", "WORK_ITEM_STATUS_CHANGED"]
        assert [event.sequence for event in decided(sent).events] == [2, 3]
        # The draft's own event is the only difference to an item that was sent at once.
        assert decided(sent).after == replace(decided(new()).after, event_sequence=3)

    @pytest.mark.requirement("WI-4")
    def test_an_id_that_exists_is_a_conflict(self) -> None:
        outcome = decide_create(item("open"), create(), caller(), NOW, coupling="strong")
        assert refused(outcome, "ConflictState").details["status"] == "open"

    def test_who_may_not_is_told_so_before_anything_else(self) -> None:
        refused(
            decide_create(item(), create(), caller("viewer"), NOW, coupling="strong", tenant_active=False), "PermissionDenied"
        )

    def test_an_unknown_tenant_has_no_items(self) -> None:
        refused(decide_create(None, create(), caller(), NOW, coupling="strong", tenant_active=False), "UnknownTenant")

    @pytest.mark.parametrize(("active", "code"), [(None, "UnknownAssignee"), (False, "InactiveAssignee")])
    def test_an_assignee_must_be_known_and_active(self, active: bool | None, code: str) -> None:
        refused(decide_create(None, create(assignee_id="bo"), caller(), NOW, coupling="strong", assignee_active=active), code)

    def test_an_assignee_of_the_create_screen_leaves_the_item_open(self) -> None:
        outcome = decided(new(assignee_id="bo"))
        assert (outcome.after.status, outcome.after.assignee_id) == ("open", "bo")
        assert event_types(outcome) == ["WORK_ITEM_CREATED", "WORK_ITEM_STATUS_CHANGED"]

    def test_only_an_import_may_date_it_back(self) -> None:
        refused(new(occurred_at=EARLIER), "OccurredAtRefused")
        outcome = decided(decide_create(None, create(occurred_at=EARLIER), importer(), NOW, coupling="strong"))
        assert outcome.after.occurred_at == outcome.after.last_action_at == EARLIER
        refused(decide_create(None, create(occurred_at=LATER), importer(), NOW, coupling="strong"), "OccurredAtRefused")


class TestAssign:
    @pytest.mark.requirement("trap-45", "WI-2")
    def test_from_in_progress_it_writes_assignee_history_and_event(self) -> None:
        outcome = decided(decide_action(item(), act("Assign", new_assignee_id="cy"), caller(), NOW, assignee_active=True))
        assert outcome.after.assignee_id == "cy"
        assert [(step.from_status, step.to_status, step.assignee_id) for step in outcome.steps] == [
            ("in_progress", "in_progress", "cy")
        ]
        (event,) = outcome.events
        assert isinstance(event.payload, WorkItemAssigned)
        assert (event.payload.old_assignee_id, event.payload.new_assignee_id) == ("bo", "cy")
        assert not result_of(outcome).status_changed

    @pytest.mark.requirement("trap-45")
    def test_from_open_it_moves_and_assigns(self) -> None:
        outcome = decide_action(item("open"), act("Assign", new_assignee_id="cy"), caller(), NOW, assignee_active=True)
        assert event_types(outcome) == ["WORK_ITEM_STATUS_CHANGED", "WorkItemAssigned"]
        assert [event.sequence for event in decided(outcome).events] == [10, 11]

    @pytest.mark.requirement("trap-45", "trap-57")
    def test_the_same_assignee_again_changes_nothing(self) -> None:
        first = decided(decide_action(item("open"), act("Assign", new_assignee_id="cy"), caller(), NOW, assignee_active=True))
        second = unchanged(decide_action(first.after, act("Assign", new_assignee_id="cy"), caller(), NOW, assignee_active=True))
        assert second.item == first.after

    @pytest.mark.requirement("trap-46")
    def test_without_an_assignee_it_is_refused(self) -> None:
        refused(decide_action(item("open"), act("Assign"), caller(), NOW), "AssigneeRequired")
        refused(decide_action(item(), act("Assign", new_assignee_id=None), caller(), NOW), "AssigneeRequired")

    @pytest.mark.requirement("trap-46")
    @pytest.mark.parametrize("action", ["Assign", "SetWaitingCustomer"])
    @pytest.mark.parametrize(("active", "code"), [(None, "UnknownAssignee"), (False, "InactiveAssignee")])
    def test_an_unknown_or_inactive_one_is_refused(self, action: str, active: bool | None, code: str) -> None:
        outcome = decide_action(item(), act(action, new_assignee_id="cy"), caller(), NOW, assignee_active=active)
        refused(outcome, code)

    @pytest.mark.requirement("trap-46", "WI-2")
    def test_beside_another_action_it_is_taken_over_too(self) -> None:
        command = act("SetWaitingCustomer", new_assignee_id="cy")
        outcome = decide_action(item(), command, caller(), NOW, assignee_active=True)
        assert event_types(outcome) == ["WORK_ITEM_STATUS_CHANGED", "WorkItemAssigned"]
        assert (decided(outcome).after.status, decided(outcome).after.assignee_id) == ("waiting_customer", "cy")
        assert len(decided(outcome).steps) == 1

    def test_beside_another_action_the_same_one_adds_nothing(self) -> None:
        outcome = decide_action(item(), act("Resolve", new_assignee_id="bo"), caller(), NOW, assignee_active=True)
        assert event_types(outcome) == ["WORK_ITEM_STATUS_CHANGED"]


class TestRefusals:
    @pytest.mark.requirement("trap-48")
    @pytest.mark.parametrize("name", ["CLOSE", "close", "Close ", "Clöse", "x" * 100, "Create", "\u202eClose"])
    def test_names_match_exactly(self, name: str) -> None:
        refusal = refused(decide_action(item("resolved"), act(name), engine(), NOW), "InvalidAction")
        assert refusal.details["action"] in ("unknown", "Create")
        assert refusal.details["allowedNextActions"] == ("Close", "Reopen")

    @pytest.mark.requirement("WI-1", "trap-48")
    @pytest.mark.parametrize("name", ["AutoCloseFromWorkflow", "Archive", "Create"])
    def test_an_internal_action_from_outside_is_no_action(self, name: str) -> None:
        refused(decide_action(item("closed"), act(name), caller("engine", "admin"), NOW), "InvalidAction")

    @pytest.mark.requirement("trap-55")
    def test_a_missing_item_is_not_found(self) -> None:
        refusal = refused(decide_action(None, act("Close"), caller(), NOW), "WorkItemNotFound")
        assert refusal.message == f"Work item {ID} not found"

    @pytest.mark.requirement("trap-56")
    @pytest.mark.parametrize("stale", [{"expected_status": "open"}, {"expected_version": 6}, {"expected_status": "nonsense"}])
    def test_a_stale_view_is_a_conflict(self, stale: dict[str, object]) -> None:
        refusal = refused(decide_action(item(), act("Resolve", **stale), caller(), NOW), "ConflictState")
        assert (refusal.details["status"], refusal.details["version"]) == ("in_progress", 7)

    @pytest.mark.requirement("trap-56")
    def test_a_fresh_view_is_none(self) -> None:
        decided(decide_action(item(), act("Resolve", expected_status="in_progress", expected_version=7), caller(), NOW))

    @pytest.mark.requirement("trap-57")
    def test_a_repeated_close_is_stale_with_the_old_version_and_illegal_with_the_new_one(self) -> None:
        closed = decided(decide_action(item("resolved"), act("Close", expected_version=7), caller(), NOW)).after
        refused(decide_action(closed, act("Close", expected_version=7), caller(), NOW), "ConflictState")
        refused(decide_action(closed, act("Close", expected_version=closed.version), caller(), NOW), "InvalidTransition")

    def test_the_order_of_checks(self) -> None:
        wrong = {"expected_version": 1, "new_assignee_id": "cy", "occurred_at": LATER}
        known = item("closed")
        given: list[tuple[WorkItem | None, str, Caller, dict[str, object], str]] = [
            (None, "Nonsense", caller("viewer"), wrong, "InvalidAction"),
            (None, "Assign", caller("viewer"), wrong, "PermissionDenied"),
            (None, "Assign", caller(), wrong, "WorkItemNotFound"),
            (known, "Assign", caller(), wrong, "ConflictState"),
            (known, "Assign", caller(), wrong | {"expected_version": 7}, "InvalidTransition"),
            (item(), "Assign", caller(), wrong | {"expected_version": 7, "new_assignee_id": None}, "AssigneeRequired"),
            (item(), "Assign", caller(), wrong | {"expected_version": 7}, "UnknownAssignee"),
        ]
        for found, action, who, fields, code in given:
            refused(decide_action(found, act(action, **fields), who, NOW), code)
        last = decide_action(item(), act("Assign", **wrong | {"expected_version": 7}), caller(), NOW, assignee_active=True)
        refused(last, "OccurredAtRefused")

    def test_who_may_not_read_learns_nothing_about_the_item(self) -> None:
        known = refused(decide_action(item(), act("Close"), caller("somebody"), NOW), "PermissionDenied")
        assert known == refused(decide_action(None, act("Close"), caller("somebody"), NOW), "PermissionDenied")


class TestOccurredAt:
    def test_only_an_import_may_send_it(self) -> None:
        refused(decide_action(item(), act("Resolve", occurred_at=NOW), caller("admin", "engine"), NOW), "OccurredAtRefused")

    def test_history_and_event_carry_it(self) -> None:
        at = EARLIER + timedelta(hours=1)
        outcome = decided(decide_action(item("resolved"), act("Close", occurred_at=at), importer(), NOW))
        assert outcome.steps[0].occurred_at == outcome.after.closed_at == status_event(outcome).changed_at == at

    def test_never_before_the_items_last_and_never_in_the_future(self) -> None:
        refused(decide_action(item(), act("Resolve", occurred_at=EARLIER - timedelta(1)), importer(), NOW), "OccurredAtRefused")
        refused(decide_action(item(), act("Resolve", occurred_at=LATER), importer(), NOW), "OccurredAtRefused")
        decided(decide_action(item(), act("Resolve", occurred_at=EARLIER), importer(), NOW))

    def test_a_writer_that_waited_never_goes_back_in_time(self) -> None:
        outcome = decided(decide_action(item(last_action_at=LATER), act("Resolve"), caller(), NOW))
        assert outcome.steps[0].occurred_at == LATER


class TestClosedAt:
    @pytest.mark.requirement("trap-45", "trap-60")
    @pytest.mark.parametrize(
        ("status", "action"),
        [("resolved", "Close"), ("open", "Cancel"), ("draft", "Reject"), ("in_progress", "AutoCloseFromWorkflow")],
    )
    def test_every_closing_sets_it(self, status: Status, action: str) -> None:
        assert decided(decide_action(item(status), act(action), engine(), NOW)).after.closed_at == NOW

    @pytest.mark.requirement("trap-60")
    @pytest.mark.parametrize("status", sorted(CLOSING))
    def test_archive_keeps_it(self, status: Status) -> None:
        assert decided(decide_action(item(status), act("Archive"), engine(), NOW)).after.closed_at == EARLIER

    @pytest.mark.requirement("trap-50")
    def test_reopen_clears_it(self) -> None:
        assert decided(decide_action(item("closed"), act("Reopen"), caller(), NOW)).after.closed_at is None


class TestWorkflow:
    @pytest.mark.requirement("WI-6", "trap-51", "trap-52")
    @pytest.mark.parametrize(
        ("status", "action", "strong", "loose"),
        [
            ("resolved", "Close", True, False),
            ("in_progress", "Cancel", True, True),
            ("open", "Reject", True, True),
            ("closed", "Reopen", True, True),
            ("in_progress", "Resolve", False, False),
            ("open", "StartWork", False, False),
        ],
    )
    def test_who_must_follow(self, status: Status, action: str, strong: bool, loose: bool) -> None:
        for coupling, expected in (("strong", strong), ("loose", loose)):
            outcome = decide_action(item(status, coupling=coupling), act(action), caller(), NOW)
            assert status_event(outcome).notify_workflow is expected
            assert status_event(outcome).coupling == coupling

    @pytest.mark.requirement("WI-6", "trap-53")
    def test_what_the_engine_did_is_not_told_back_to_it(self) -> None:
        own = decide_action(item(), act("AutoCloseFromWorkflow"), engine(), NOW)
        assert (status_event(own).notify_workflow, status_event(own).source) == (False, "WORKFLOW_ENGINE")
        other = decide_action(item(), act("AutoCloseFromWorkflow"), caller("engine", source="RULE", internal=True), NOW)
        assert status_event(other).notify_workflow

    @pytest.mark.requirement("trap-51")
    @pytest.mark.hole("cycle-guards-reopen")
    def test_a_closing_of_an_older_cycle_does_not_close_a_reopened_item(self) -> None:
        reopened = decided(decide_action(item("closed"), act("Reopen"), caller(), NOW)).after
        assert reopened.cycle == 1
        unchanged(decide_action(reopened, act("AutoCloseFromWorkflow", cycle=0), engine(), NOW))
        assert decided(decide_action(reopened, act("AutoCloseFromWorkflow", cycle=1), engine(), NOW)).after.status == "closed"

    @pytest.mark.requirement("WI-7", "trap-51")
    @pytest.mark.hole("cycle-guards-reopen")
    def test_an_instances_end_closes_its_item_in_the_same_cycle_only(self) -> None:
        for coupling in ("strong", "loose"):
            seen = decide_instance(item(coupling=coupling), _instance("completed"), engine(), NOW)
            assert isinstance(seen, InstanceSeen)
            assert decided(seen.outcome).after.status == "closed"
        late = decide_instance(item(cycle=2), _instance("completed", cycle=1), engine(), NOW)
        assert isinstance(late, InstanceSeen)
        unchanged(late.outcome)
        refused(decide_instance(item(cycle=0), _instance("completed", cycle=1), engine(), NOW), "ConflictState")  # type: ignore[arg-type]

    @pytest.mark.parametrize("status", ["running", "canceled"])
    def test_other_news_of_an_instance_are_only_recorded(self, status: str) -> None:
        seen = decide_instance(item(), _instance(status), engine(), NOW)
        assert isinstance(seen, InstanceSeen)
        unchanged(seen.outcome)

    @pytest.mark.requirement("trap-49")
    @pytest.mark.parametrize("status", ["draft", "open"])
    def test_an_end_before_work_began_is_refused(self, status: Status) -> None:
        seen = decide_instance(item(status), _instance("completed"), engine(), NOW)
        assert isinstance(seen, InstanceSeen)
        refused(seen.outcome, "InvalidTransition")

    @pytest.mark.requirement("WI-7")
    @pytest.mark.parametrize("status", ["running", "completed", "canceled"])
    def test_news_of_an_instance_from_outside_is_refused_before_anything_is_looked_at(self, status: str) -> None:
        for one in (item(), None):
            refused(decide_instance(one, _instance(status), caller(), NOW), "InvalidAction")  # type: ignore[arg-type]

    def test_an_instance_of_an_unknown_item_is_not_found(self) -> None:
        assert isinstance(decide_instance(None, _instance("running"), engine(), NOW), Rejected)


@pytest.mark.requirement("trap-60")
def test_history_names_user_source_and_note() -> None:
    step = decided(decide_action(item(), act("AutoCloseFromWorkflow", note="done"), engine(), NOW)).steps[0]
    assert (step.by_user, step.source, step.note) == ("system:workflow", "WORKFLOW_ENGINE", "done")


@pytest.mark.requirement("WI-3", "WI-8")
def test_the_reply_has_the_documents_fields() -> None:
    result = result_of(decided(decide_action(item(), act("SetWaitingCustomer"), caller(), NOW)))
    assert result.work_item_id == ID
    assert (result.old_status, result.new_status, result.status_changed) == ("in_progress", "waiting_customer", True)
    assert result.display_status == "Chờ khách hàng"
    assert result.allowed_next_actions == ("BackToInProgress", "Resolve", "Cancel")
    assert result.version == 8


def _instance(status: str, cycle: int = 0) -> InstanceStatusChanged:
    return InstanceStatusChanged.model_validate(
        {"instanceId": "i-1", "workItemId": ID, "cycle": cycle, "status": status, "changedAt": NOW}
    )
