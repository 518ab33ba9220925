"""What follows for the instance from what happened to its work item: every action, in both couplings, from every source."""

from typing import Any, get_args

import pytest

from domain.onboarding.coupling import Behind, orders_of
from domain.work_items.transitions import notifies_workflow
from schemas.onboarding import CancelInstance, CompleteInstance, ReopenInstance, StartInstance
from schemas.work_items import Action, Coupling, Source, WorkItemCreated, WorkItemStatusChanged
from tests.unit.domain.onboarding.giving import START

ITEM = "0f8fad5b-d9cb-469f-a165-70867728950e"


def sent(process: str | None = "card-replacement", source: Source = "CRM_UI", **more: Any) -> WorkItemCreated:
    common: dict[str, Any] = {"version": 2, "changed_by": "cy", "changed_at": START, "priority": "medium", **more}
    return WorkItemCreated(work_item_id=ITEM, source=source, process=process, **common)


def moved(action: Action, coupling: Coupling = "strong", source: Source = "CRM_UI", **more: Any) -> WorkItemStatusChanged:
    told = {"cycle": 1, "process": "card-replacement", "old_status": "open", "new_status": "closed", **more}
    notify = notifies_workflow(action, coupling, source)
    return WorkItemStatusChanged(
        work_item_id=ITEM, version=3, changed_by="cy", changed_at=START, source=source, action=action, coupling=coupling,
        notify_workflow=notify, **told,
    )  # fmt: skip


def ordered(event: WorkItemCreated | WorkItemStatusChanged, behind: Behind | None = None) -> list[Any]:
    found = behind or Behind(versions={"card-replacement": 3, "aml-watch": 1})
    return [event.payload for event in orders_of(found, event, "acme", START)]


@pytest.mark.requirement("WI-4")
def test_an_item_that_is_sent_starts_the_newest_version_of_its_templates_flow_for_who_sent_it() -> None:
    (start,) = ordered(sent())
    assert start == StartInstance(
        instance_id=ITEM, flow="card-replacement", flow_version=3, user_id="cy", work_item_id=ITEM, cycle=0
    )


@pytest.mark.requirement("WI-4", "trap-53", "IN-9")
@pytest.mark.parametrize(
    "event",
    [
        sent("general"),
        sent("of-an-upstream"),
        sent(None),
        sent(source="WORKFLOW_ENGINE"),
        sent("onboarding-review", source="WORKFLOW_ENGINE"),
        sent(source="IMPORT"),
    ],
    ids=["no-flow", "unlisted", "no-process", "of-the-engine", "review-task", "import"],
)
def test_what_has_no_flow_or_comes_from_the_engine_or_an_import_starts_nothing(event: WorkItemCreated) -> None:
    assert ordered(event) == []


@pytest.mark.requirement("WI-6", "WI-7", "trap-51")
@pytest.mark.parametrize("coupling", get_args(Coupling))
def test_each_action_of_a_person_orders_what_the_design_says_in_the_items_cycle(coupling: Coupling) -> None:
    expected = {
        "Cancel": CancelInstance(instance_id=ITEM, reason=f"work item {ITEM}: Cancel", cycle=1),
        "Reject": CancelInstance(instance_id=ITEM, reason=f"work item {ITEM}: Reject", cycle=1),
        "Reopen": ReopenInstance(instance_id=ITEM, cycle=1),
    }
    if coupling == "strong":
        expected["Close"] = CompleteInstance(instance_id=ITEM, cycle=1)
    assert {action: ordered(moved(action, coupling)) for action in get_args(Action) if ordered(moved(action, coupling))} == {
        action: [command] for action, command in expected.items()
    }


@pytest.mark.requirement("trap-53")
def test_what_the_engine_did_orders_nothing() -> None:
    assert [action for action in get_args(Action) if ordered(moved(action, source="WORKFLOW_ENGINE"))] == []


@pytest.mark.requirement("WI-7")
def test_an_order_reaches_the_instance_that_is_still_on_its_way_and_those_that_were_started_by_hand() -> None:
    """The template's instance has the item's id: an item that is cancelled at once cancels what nobody has begun yet."""
    by_hand = Behind(instances=("by-hand", ITEM))
    assert [command.instance_id for command in ordered(moved("Cancel"), by_hand)] == [ITEM, "by-hand"]
    assert [command.instance_id for command in ordered(moved("Cancel", process="general"), Behind(instances=("by-hand",)))] == [
        "by-hand"
    ]
    assert ordered(moved("Cancel", process="general"), Behind()) == []


@pytest.mark.requirement("SP-1")
def test_trace_and_causes_go_on_with_the_orders() -> None:
    found = orders_of(Behind(versions={"card-replacement": 1}), sent(), "acme", START, ("the-cause", "the-event"), "00-1-2-01")
    assert [(event.causation, event.traceparent) for event in found] == [(("the-cause", "the-event"), "00-1-2-01")]
