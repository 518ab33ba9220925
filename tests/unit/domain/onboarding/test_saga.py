"""The way back: reverse order, unknown outcomes, late successes, and what operators do when an undo gives up."""

import pytest

from domain.onboarding.orders import CancelCall, RaiseIncident, ResolveIncident, RunStep
from schemas.onboarding import ApproveCompensationInput, MarkCompensated, ProposeCompensationInput, RetryCompensation
from schemas.workflow_events import SagaCompensation
from tests.unit.domain.onboarding.giving import ID, Engine, flow, move, success

UNDOABLE = {"handler": "work", "compensation": "UNDO_WORK", "retry": {"retries": 0}, "compensationRetry": {"retries": 0}}


def three_steps(**more: object) -> Engine:
    """Steps 1 and 2 are done, 3 is under way."""
    engine = Engine.of(
        flow(
            move("A", "B", by="SYSTEM", **UNDOABLE),
            move("B", "C", by="SYSTEM", handler="look"),
            move("C", "DONE", by="SYSTEM", **{**UNDOABLE, **more}),
        )
    )
    engine.succeed(1)
    engine.succeed(2)
    return engine


def phases(engine: Engine) -> list[tuple[str, int | None]]:
    told = [row.event for row in engine.history if isinstance(row.event, SagaCompensation)]
    return [(event.phase, event.undoes) for event in told]


@pytest.mark.requirement("WF-9", "trap-69")
def test_an_undo_waits_until_its_forward_call_has_ended() -> None:
    engine = three_steps()
    engine.cancel()
    assert engine.orders == (CancelCall(3, 1),)
    assert engine.instance.status == "COMPENSATING"
    assert engine.succeed(3)[0] == "STEP_LATE_OUTCOME"
    assert RunStep(4, 1, "C", "NEXT", "UNDO_WORK", undoes=3) in engine.orders
    engine.succeed(4)
    engine.succeed(5)
    assert phases(engine) == [
        ("started", None), ("undoing", 3), ("undone", 3), ("undoing", 1), ("undone", 1),
    ]  # fmt: skip
    assert engine.instance.status == "COMPENSATED"


@pytest.mark.requirement("WF-9", "trap-69")
@pytest.mark.parametrize("called", [True, False], ids=["refused", "never called"])
def test_what_was_never_done_is_skipped(called: bool) -> None:
    engine = three_steps()
    engine.cancel()
    engine.fail(3, called=called)
    assert phases(engine)[1:] == [("skipped", 3), ("undoing", 1)]


@pytest.mark.requirement("WF-9", "trap-69")
def test_what_nobody_knows_is_undone() -> None:
    engine = three_steps(onFailure={"to": "NO"})
    engine.fail(3, unknown=True)
    assert phases(engine)[1:] == [("undoing", 3)]


@pytest.mark.requirement("WF-9")
def test_a_success_after_its_undo_is_undone_again_even_after_the_end() -> None:
    engine = three_steps(onFailure={"to": "NO"})
    engine.fail(3, code="worker-lost", unknown=True)
    engine.succeed(4)
    engine.succeed(5)
    assert engine.instance.status == "COMPENSATED"
    engine.succeed(3)
    assert engine.instance.status == "COMPENSATING"
    assert RunStep(6, 1, "C", "NEXT", "UNDO_WORK", undoes=3) in engine.orders, "another call with an id of its own"
    engine.succeed(6)
    assert engine.instance.status == "COMPENSATED"
    assert "before" in engine.quiet(success(3))


@pytest.mark.requirement("WF-9")
def test_a_success_while_its_undo_is_under_way_is_undone_once_more() -> None:
    engine = three_steps(onFailure={"to": "NO"})
    engine.fail(3, code="worker-lost", unknown=True)
    engine.succeed(3)
    engine.succeed(4)
    assert RunStep(5, 1, "C", "NEXT", "UNDO_WORK", undoes=3) in engine.orders
    engine.succeed(5)
    engine.succeed(6)
    assert engine.instance.status == "COMPENSATED"


@pytest.mark.requirement("WF-9", "trap-69")
def test_an_undo_that_gives_up_waits_for_an_operator_and_then_goes_on() -> None:
    engine = three_steps()
    engine.cancel()
    engine.succeed(3)
    engine.fail(4)
    assert engine.instance.status == "COMPENSATION_FAILED"
    assert engine.orders == (RaiseIncident("compensation-failed", 4),)
    retry = RetryCompensation(instance_id=ID, reason="the service is back")
    assert engine.refused(retry, "u-1", "USER").code == "PermissionDenied"
    engine.must(retry, "o-1", "OPERATOR")
    assert engine.orders == (ResolveIncident("compensation-failed", 4), RunStep(4, 2, "C", "NEXT", "UNDO_WORK", undoes=3))
    assert engine.refused(retry, "o-1", "OPERATOR").code == "InvalidTransition"
    engine.succeed(4, attempt=2)
    engine.succeed(5)
    assert engine.instance.status == "COMPENSATED"


@pytest.mark.requirement("WF-9")
def test_what_an_operator_undid_by_hand_is_marked_with_a_reason() -> None:
    engine = three_steps()
    engine.cancel()
    engine.succeed(3)
    engine.fail(4)
    engine.must(MarkCompensated(instance_id=ID, reason="closed in the core system"), "o-1", "OPERATOR")
    assert phases(engine)[-2:] == [("marked", 3), ("undoing", 1)]
    engine.succeed(5)
    assert engine.instance.status == "COMPENSATED"


@pytest.mark.requirement("WF-9")
def test_other_input_for_an_undo_takes_four_eyes() -> None:
    engine = three_steps()
    engine.cancel()
    engine.succeed(3)
    engine.fail(4)
    propose = ProposeCompensationInput(instance_id=ID, reason="wrong account", data={"account": "canary"})
    engine.must(propose, "o-1", "OPERATOR")
    number = engine.instance.version
    approve = ApproveCompensationInput(instance_id=ID, proposal=number)
    assert engine.refused(approve, "o-1", "OPERATOR").code == "FourEyes"
    assert engine.refused(approve.model_copy(update={"proposal": 1}), "o-2", "OPERATOR").code == "ConflictState"
    engine.must(approve, "o-2", "OPERATOR")
    assert RunStep(4, 2, "C", "NEXT", "UNDO_WORK", undoes=3, input_from=number) in engine.orders


def test_what_has_nothing_to_undo_ends_at_once() -> None:
    engine = Engine.of(flow(move("A", "DONE")))
    engine.cancel()
    assert engine.instance.status == "CANCELED"


def test_a_late_success_of_a_completed_instance_undoes_nothing() -> None:
    engine = Engine.of(flow(move("A", "DONE", **{**UNDOABLE, "attemptTimeout": "1s", "retry": {"retries": 1, "delay": "1s"}})))
    engine.act()
    engine.later(seconds=1)
    engine.fire("attempt.1.1")
    engine.later(seconds=5)
    engine.fire("retry.1.2")
    engine.succeed(1, attempt=2)
    assert engine.succeed(1, attempt=1) == ["STEP_LATE_OUTCOME"]
    assert engine.instance.status == "COMPLETED"
