"""Starting, acting, waiting and cancelling: who may, when, and what an old message gets."""

from datetime import timedelta

import pytest

from domain.onboarding.orders import ArmTimer, CancelCall, CloseTask, DisarmTimer, Remind
from schemas.onboarding import Advance, CancelInstance, CompleteInstance, ReopenInstance, StartInstance
from tests.unit.domain.onboarding.giving import ID, START, Engine, fired, flow, move

SLA = {"A": {"sla": {"expiresAfter": "24h", "remindAfter": ["1h", "20h"]}}}
FLOW = flow(move("A", "B"), move("B", "DONE", handler="work"), move("A", "NO", action="GIVE_UP", by="OPERATOR"), states=SLA)


def advance(action: str = "NEXT", expected: int | None = None) -> Advance:
    return Advance(instance_id=ID, action=action, expected_version=expected)


@pytest.mark.requirement("WF-4", "IN-3", "trap-72")
def test_a_start_is_for_oneself_and_happens_once() -> None:
    engine = Engine.of(FLOW)
    start = StartInstance(instance_id=ID, flow="small", flow_version=1, user_id="u-1")
    assert engine.quiet(start, "u-1", "USER") == "the instance was started before"
    other = start.model_copy(update={"user_id": "u-2"})
    assert engine.refused(other, "u-2", "USER").code == "ConflictState"
    assert engine.refused(other, "u-1", "USER").code == "PermissionDenied"
    assert engine.refused(start.model_copy(update={"flow_version": 2}), "u-1", "USER").code == "UnknownFlow"
    assert engine.refused(start, "r-1", "REVIEWER").code == "PermissionDenied"


def test_nothing_happens_to_an_instance_that_is_not_there() -> None:
    engine = Engine.of(FLOW)
    engine.history.clear()
    assert engine.refused(advance(), "u-1", "USER").code == "InstanceNotFound"


@pytest.mark.requirement("WF-11", "WF-13", "IN-14", "trap-72")
def test_an_action_is_for_its_actors_and_the_owner() -> None:
    engine = Engine.of(FLOW)
    assert engine.refused(advance(), "u-2", "USER").code == "InstanceNotFound", "whose it is, is nobody else's business"
    refused = engine.refused(advance(), "o-1", "OPERATOR")
    assert (refused.code, refused.details["allowedActions"]) == ("ActorNotAllowed", ("GIVE_UP",))
    refused = engine.refused(advance("JUMP"), "u-1", "USER")
    assert (refused.code, refused.details["allowedActions"]) == ("InvalidTransition", ("NEXT", "GIVE_UP"))
    engine.act()
    engine.act()
    assert engine.refused(advance(), "u-1", "USER").code == "StepInProgress"
    engine.succeed(1)
    assert engine.refused(advance(), "u-1", "USER").code == "InstanceEnded"


@pytest.mark.requirement("IN-8", "trap-68", "trap-70", "trap-77")
def test_who_saw_another_version_is_refused() -> None:
    engine = Engine.of(FLOW)
    seen = engine.instance.version
    engine.act(expected_version=seen)
    refused = engine.refused(advance(expected=seen), "u-1", "USER")
    assert (refused.code, refused.details["version"]) == ("ConflictState", engine.instance.version)


@pytest.mark.requirement("IN-10")
def test_somebody_who_is_waited_for_is_reminded_and_then_the_instance_is_cancelled() -> None:
    engine = Engine.of(FLOW)
    assert engine.orders == (
        ArmTimer("expiry", START + timedelta(hours=24), 1),
        ArmTimer("reminder.1", START + timedelta(hours=1), 1),
        ArmTimer("reminder.2", START + timedelta(hours=20), 1),
    )
    engine.later(hours=1)
    engine.fire("reminder.1")
    assert Remind("A", 1) in engine.orders
    assert "nothing waits" in engine.quiet(fired("reminder.1", 1))
    engine.later(hours=23)
    assert engine.fire("expiry") == ["SLA_EXPIRED", "WORKFLOW_ENDED", "INSTANCE_STATUS_CHANGED"]
    assert engine.instance.status == "CANCELED"
    assert "waits" in engine.quiet(fired("expiry", 1))


@pytest.mark.requirement("IN-10")
def test_an_expiry_may_only_remind_and_not_for_ever() -> None:
    sla = {"A": {"sla": {"expiresAfter": "1h", "onExpiry": "remind", "mostReminders": 2}}}
    engine = Engine.of(flow(move("A", "DONE"), states=sla))
    for number in (1, 2):
        engine.later(hours=1)
        assert engine.fire("expiry") == ["REMINDER_SENT"]
        assert Remind("A", number) in engine.orders
    assert engine.orders == (DisarmTimer("expiry"), Remind("A", 2))
    assert engine.instance.status == "ACTIVE"


@pytest.mark.requirement("IN-10", "trap-78")
def test_a_submit_before_the_expiry_wins() -> None:
    engine = Engine.of(FLOW)
    engine.later(hours=24)
    engine.act()
    assert "entry 1" in engine.quiet(fired("expiry", 1))
    assert engine.instance.state == "B"


@pytest.mark.requirement("IN-10", "trap-78")
def test_an_expiry_before_the_submit_wins() -> None:
    engine = Engine.of(FLOW)
    seen = engine.instance.version
    engine.later(hours=24)
    engine.fire("expiry")
    assert engine.refused(advance(), "u-1", "USER").code == "InstanceEnded"
    assert engine.refused(advance(expected=seen), "u-1", "USER").code == "ConflictState"


@pytest.mark.requirement("IN-10", "trap-78")
def test_while_the_step_of_a_submit_runs_nothing_expires() -> None:
    engine = Engine.of(flow(move("A", "DONE", handler="work"), states=SLA))
    engine.act()
    engine.later(hours=24)
    assert "nothing waits" in engine.quiet(fired("expiry", 1))
    engine.succeed(1)
    assert engine.instance.status == "COMPLETED"


@pytest.mark.requirement("IN-9", "IN-10")
def test_a_review_that_nobody_does_expires_and_its_task_is_closed() -> None:
    decisions = [
        move("A", "DONE" if action == "APPROVE" else "NO", by="REVIEWER", action=action) for action in ("APPROVE", "REJECT")
    ]
    engine = Engine.of(flow(*decisions, states={"A": {"review": {"group": "people"}, "sla": {"expiresAfter": "24h"}}}))
    engine.later(hours=24)
    engine.fire("expiry")
    assert CloseTask(1) in engine.orders
    assert engine.instance.status == "CANCELED"


@pytest.mark.requirement("WF-4")
def test_a_cancel_is_for_the_owner_an_operator_or_the_work_item_and_happens_once() -> None:
    engine = Engine.of(flow(move("A", "DONE"), cancelBy=["OPERATOR"]))
    cancel = CancelInstance(instance_id=ID, reason="no longer wanted")
    assert engine.refused(cancel, "u-1", "USER").code == "PermissionDenied"
    assert engine.refused(cancel, "u-2", "USER").code == "InstanceNotFound"
    stale = cancel.model_copy(update={"expected_version": 1})
    assert engine.refused(stale, "o-1", "OPERATOR").code == "ConflictState"
    engine.must(cancel)
    assert "already" in engine.quiet(cancel, "o-1", "OPERATOR")


@pytest.mark.requirement("trap-51")
def test_a_reopened_work_item_reopens_its_instance_in_a_new_cycle() -> None:
    engine = Engine.of(flow(move("A", "DONE"), reopenTo="A"), work_item_id="w-1")
    reopen = ReopenInstance(instance_id=ID, cycle=1)
    engine.act()
    assert engine.must(reopen) == ["WORKFLOW_REOPENED", "INSTANCE_STATUS_CHANGED", "STATE_ENTERED"]
    assert "already" in engine.quiet(reopen)
    assert (engine.instance.status, engine.instance.cycle) == ("ACTIVE", 1)
    late = CancelInstance(instance_id=ID, reason="the item was cancelled", cycle=0)
    assert "cycle 0 is over" in engine.quiet(late)
    assert engine.refused(reopen, "u-1", "USER").code == "PermissionDenied"


def test_without_a_place_to_go_on_nothing_is_reopened() -> None:
    engine = Engine.of(flow(move("A", "DONE")))
    engine.act()
    assert engine.refused(ReopenInstance(instance_id=ID, cycle=1)).code == "InvalidTransition"


@pytest.mark.requirement("trap-51", "WI-7")
def test_an_instance_that_still_runs_goes_on_in_the_new_cycle_and_its_end_is_of_that_cycle() -> None:
    """An item can be reopened from resolved: without the new cycle its instance's end would never close it."""
    engine = Engine.of(flow(move("A", "DONE"), reopenTo="A"), work_item_id="w-1")
    assert engine.must(ReopenInstance(instance_id=ID, cycle=1)) == ["WORKFLOW_REOPENED", "INSTANCE_STATUS_CHANGED"]
    assert (engine.instance.state, engine.instance.cycle, engine.instance.entry) == ("A", 1, 1)
    assert "cycle 0 is over" in engine.quiet(CompleteInstance(instance_id=ID, cycle=0))
    engine.act()
    assert (engine.instance.status, engine.instance.told, engine.instance.cycle) == ("COMPLETED", "completed", 1)


@pytest.mark.requirement("WI-7", "trap-53")
def test_a_closed_work_item_completes_its_instance_and_undoes_nothing() -> None:
    """Whatever was under way: its call is cancelled or ends late, and a late success owes no undo."""
    made = move("A", "B", handler="create-account", compensation="UNDO_ACCOUNT_CREATION")
    engine = Engine.of(flow(made, move("B", "DONE", handler="send-welcome")), work_item_id="w-1")
    engine.act()
    engine.succeed(1)
    engine.act()
    close = CompleteInstance(instance_id=ID, cycle=0)
    assert engine.refused(close, "u-1", "USER").code == "PermissionDenied"
    assert engine.must(close) == ["ACTION_ACCEPTED", "WORKFLOW_ENDED", "INSTANCE_STATUS_CHANGED"]
    assert (engine.instance.status, engine.instance.ending, engine.instance.told) == ("COMPLETED", "completed", "completed")
    assert [type(order) for order in engine.orders] == [CancelCall]
    assert "already" in engine.quiet(close)
    assert engine.succeed(2) == ["STEP_LATE_OUTCOME"]
    assert engine.refused(CancelInstance(instance_id=ID, reason="too late"), "o-1", "OPERATOR").code == "InstanceEnded"
