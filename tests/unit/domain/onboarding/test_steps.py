"""Steps: attempts, retries, limits, reviews and incidents."""

from datetime import timedelta

import pytest

from domain.onboarding.attempts import pause_before
from domain.onboarding.orders import (
    ArmTimer,
    CancelCall,
    CloseTask,
    DisarmTimer,
    OpenTask,
    RaiseIncident,
    ResolveIncident,
    RunStep,
    wanted,
)
from schemas.flows import Retry
from schemas.onboarding import Recover, RetryStep
from tests.unit.domain.onboarding.giving import ID, START, Engine, decision_of, failure, fired, flow, move, success

STEP = {"handler": "work", "retry": {"retries": 2, "delay": "10s"}}


def engine_with(**more: object) -> Engine:
    engine = Engine.of(flow(move("A", "DONE", **STEP, **more)))
    engine.act()
    return engine


@pytest.mark.requirement("WF-5")
def test_a_retry_is_a_timer_with_backoff_and_jitter() -> None:
    engine = engine_with()
    assert engine.fail(1) == ["STEP_FAILED", "STEP_RETRY_SCHEDULED"]
    assert engine.orders == (ArmTimer("retry.1.2", START + timedelta(seconds=11), 1),)
    engine.later(seconds=11)
    engine.fire("retry.1.2")
    assert RunStep(1, 2, "A", "NEXT", "work") in engine.orders
    engine.fail(1, 2)
    assert engine.orders == (ArmTimer("retry.1.3", engine.now + timedelta(seconds=22), 1),)


@pytest.mark.requirement("WF-5")
def test_a_pause_doubles_up_to_the_longest_and_never_overflows() -> None:
    retry = Retry.model_validate({"retries": 100, "delay": "1s", "longest": "1m"})
    assert [pause_before(retry, n, 0.0).total_seconds() for n in (1, 2, 3, 6, 7, 100)] == [1, 2, 4, 32, 60, 60]
    assert pause_before(retry, 7, 1.0).total_seconds() == 72
    fixed = Retry.model_validate({"delay": "3s", "backoff": "fixed"})
    assert pause_before(fixed, 9, 0.0).total_seconds() == 3


@pytest.mark.requirement("WF-5")
def test_without_retries_left_an_operator_is_asked_and_gives_new_ones() -> None:
    engine = engine_with()
    for attempt in (1, 2):
        engine.fail(1, attempt)
        engine.later(seconds=60)
        engine.fire(f"retry.1.{attempt + 1}")
    assert engine.fail(1, 3) == ["STEP_FAILED", "INCIDENT_RAISED"]
    assert engine.orders == (RaiseIncident("step-failed", 1),)
    assert engine.refused(RetryStep(instance_id=ID, reason="mended"), "u-1", "USER").code == "PermissionDenied"
    engine.must(RetryStep(instance_id=ID, reason="mended"), "o-1", "OPERATOR")
    assert engine.orders == (ResolveIncident("step-failed", 1), RunStep(1, 4, "A", "NEXT", "work"))
    assert engine.fail(1, 4) == ["STEP_FAILED", "STEP_RETRY_SCHEDULED"]


def test_an_outcome_that_no_retry_can_help_gives_up_at_once() -> None:
    engine = engine_with(onFailure={"to": "NO"})
    assert engine.fail(1, retryable=False) == ["STEP_FAILED", "STATE_ENTERED", "WORKFLOW_ENDED", "INSTANCE_STATUS_CHANGED"]
    assert engine.instance.status == "REJECTED"


@pytest.mark.requirement("WF-5")
def test_an_attempt_that_takes_too_long_is_followed_by_the_next_and_may_still_succeed() -> None:
    engine = engine_with(attemptTimeout="30s")
    engine.later(seconds=30)
    assert engine.fire("attempt.1.1") == ["STEP_TIMED_OUT", "STEP_RETRY_SCHEDULED"]
    assert CancelCall(1, 1) in engine.orders
    engine.later(seconds=60)
    engine.fire("retry.1.2")
    assert engine.succeed(1, attempt=1)[0] == "STEP_COMPLETED", "the success of any attempt is the step's"
    assert CancelCall(1, 2) in engine.orders
    assert DisarmTimer("attempt.1.2") in engine.orders
    assert "before" in engine.quiet(success(1, 1)) or "over" in engine.quiet(success(1, 1))


@pytest.mark.requirement("WF-5")
def test_all_attempts_together_have_a_limit() -> None:
    engine = engine_with(totalTimeout="1m")
    engine.fail(1)
    engine.later(seconds=60)
    assert engine.fire("total.1") == ["STEP_TIMED_OUT", "INCIDENT_RAISED"]
    assert DisarmTimer("retry.1.2") in engine.orders


def test_a_success_while_an_operator_is_asked_goes_on() -> None:
    engine = engine_with(attemptTimeout="30s", totalTimeout="30s")
    engine.later(seconds=30)
    engine.fire("total.1")
    assert engine.instance.status == "INCIDENT"
    engine.succeed(1)
    assert engine.instance.status == "COMPLETED"
    assert ResolveIncident("step-failed", 1) in engine.orders


def test_an_outcome_that_the_flow_does_not_name_is_no_success() -> None:
    engine = engine_with(outcomes={"REJECTED": "NO"}, compensation="UNDO_WORK")
    assert engine.succeed(1, outcome="REJECTD") == ["STEP_FAILED", "INCIDENT_RAISED"]
    assert engine.instance.steps[1].possible, "it did something"
    assert "ended before" in engine.quiet(success(1, outcome="REJECTD"))
    engine.cancel()
    assert RunStep(2, 1, "A", "NEXT", "UNDO_WORK", undoes=1) in engine.orders


def test_a_success_ends_the_review_of_its_step() -> None:
    engine = engine_with(attemptTimeout="30s", totalTimeout="30s", onFailure={"review": {"group": "kyc", "reject": "NO"}})
    engine.later(seconds=30)
    engine.fire("total.1")
    assert OpenTask(1, "kyc", "A", 1, ()) in engine.orders
    engine.succeed(1)
    assert engine.instance.status == "COMPLETED"
    assert CloseTask(1) in engine.orders
    assert "before" in engine.quiet(decision_of("reject", 1), "r-1", "REVIEWER")


@pytest.mark.requirement("WF-4")
def test_old_and_repeated_outcomes_are_quiet_and_unknown_ones_are_refused() -> None:
    engine = engine_with()
    engine.fail(1)
    assert "ended before" in engine.quiet(failure(1))
    assert engine.refused(success(2)).code == "UnknownStep"
    assert engine.refused(success(1, 2)).code == "UnknownStep"
    assert engine.refused(success(1), "u-1", "USER").code == "PermissionDenied"


@pytest.mark.requirement("IN-9")
def test_people_decide_what_automation_could_not() -> None:
    review = {"review": {"group": "kyc", "reject": "NO", "returnTo": "A", "editable": ["name"]}}
    engine = engine_with(onFailure=review)
    engine.fail(1, retryable=False)
    assert engine.orders == (OpenTask(1, "kyc", "A", 1, ("name",)),)
    assert engine.refused(decision_of("approve", 1), "u-1", "USER").code == "PermissionDenied"
    assert engine.refused(decision_of("approve", 2), "r-1", "REVIEWER").code == "UnknownTask"
    wrong = decision_of("approve", 1, edited_fields=("amount",))
    assert engine.refused(wrong, "r-1", "REVIEWER").code == "FieldNotEditable"
    engine.decide("approve", edited_fields=("name",), data={"name": "canary"})
    assert engine.instance.status == "COMPLETED"
    assert "before" in engine.quiet(decision_of("reject", 1), "r-2", "REVIEWER"), "the second decision is too late"


@pytest.mark.requirement("WF-8", "trap-67")
def test_a_recovery_orders_again_what_is_wanted_and_leaves_alone_who_waits() -> None:
    engine = engine_with(attemptTimeout="30s")
    assert engine.must(Recover(instance_id=ID, cause="lease-expired", step=1, attempt=1)) == ["RECOVERY"]
    assert set(engine.orders) == {
        RunStep(1, 1, "A", "NEXT", "work"),
        ArmTimer("attempt.1.1", START + timedelta(seconds=30), 1),
    }
    assert "nothing waits" in engine.quiet(Recover(instance_id=ID, cause="lease-expired", step=1, attempt=2))
    engine.fail(1)
    assert "not stuck" in engine.quiet(Recover(instance_id=ID, cause="scan"))
    assert engine.must(Recover(instance_id=ID, cause="timer-missing")) == ["RECOVERY"]
    assert set(engine.orders) == set(wanted(engine.instance).values()), "somebody looked, and the retry's timer was not there"


def test_a_timer_of_another_entry_or_before_its_time_does_nothing() -> None:
    engine = engine_with()
    engine.fail(1)
    assert "entry 7" in engine.quiet(fired("retry.1.2", 7))
    assert "not yet" in engine.quiet(fired("retry.1.2", 1))
    engine.later(minutes=1)
    assert "nothing waits" in engine.quiet(fired("retry.1.3", 1))
    assert engine.refused(fired("retry.1.2", 1), "u-1", "USER").code == "PermissionDenied"
