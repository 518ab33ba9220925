"""The shipped flows from start to end, by the documents' paths."""

import pytest

from domain.onboarding.orders import ArmTimer, OpenTask, PersistCase, RunStep
from schemas.workflow_events import SagaCompensation, StateEntered
from tests.unit.domain.onboarding.giving import SHIPPED, Engine


def states(engine: Engine) -> list[str]:
    return [row.event.state for row in engine.history if isinstance(row.event, StateEntered)]


@pytest.mark.requirement("WF-1", "WF-2", "WF-11", "WF-12", "WF-13")
def test_a_customer_goes_the_happy_path() -> None:
    engine = Engine.of(SHIPPED["customer-onboarding"])
    engine.act()
    engine.succeed(1)
    engine.act()
    engine.act()
    engine.act()
    for step in (2, 3, 4, 5):
        engine.succeed(step)
    assert states(engine) == [
        "PHONE_ENTERED", "OTP_VERIFIED", "PROFILE_COMPLETED", "DOC_UPLOADED", "EKYC_PENDING",
        "EKYC_APPROVED", "AML_PENDING", "AML_CLEARED", "ACCOUNT_CREATED", "COMPLETED",
    ]  # fmt: skip
    assert engine.instance.status == "COMPLETED"
    assert PersistCase("COMPLETED", 10) in engine.orders
    assert engine.types[-2:] == ["WORKFLOW_ENDED", "INSTANCE_STATUS_CHANGED"]


@pytest.mark.requirement("WF-9", "WF-12", "trap-63", "trap-69")
def test_a_rejection_by_aml_undoes_card_wallet_and_account_in_this_order() -> None:
    engine = Engine.of(SHIPPED["card-onboarding"])
    engine.act()
    for step in (1, 2, 3):
        engine.succeed(step)
    engine.succeed(4, outcome="REJECTED")
    assert engine.instance.status == "COMPENSATING"
    undone = []
    while engine.instance.status == "COMPENSATING":
        (order,) = [order for order in engine.orders if isinstance(order, RunStep)]
        undone.append(order.handler)
        engine.succeed(order.step)
    assert undone == ["UNDO_CARD_ACTIVATION", "UNDO_WALLET_CREATION", "UNDO_ACCOUNT_CREATION"]
    assert (engine.instance.status, engine.instance.state) == ("COMPENSATED", "AML_REJECTED")
    told = [row.event for row in engine.history if isinstance(row.event, SagaCompensation)]
    assert [event.phase for event in told] == ["started", *["undoing", "undone"] * 3]
    assert told[0].steps == (3, 2, 1)


@pytest.mark.requirement("IN-9")
def test_a_loan_waits_for_a_persons_decision() -> None:
    engine = Engine.of(SHIPPED["loan-application"])
    engine.act("SUBMIT", data={"amount": "1000.00"})
    engine.succeed(1)
    assert engine.instance.status == "AWAITING_REVIEWS"
    assert OpenTask(1, "loan-officers", "DECISION_PENDING", None, ("amount", "termMonths")) in engine.orders
    engine.decide("approve", edited_fields=("amount",), data={"amount": "900.00"})
    engine.succeed(2)
    engine.act("ACCEPT")
    engine.succeed(3)
    assert engine.instance.status == "COMPLETED"


@pytest.mark.requirement("IN-9")
def test_a_card_that_no_machine_can_read_is_read_by_a_person() -> None:
    engine = Engine.of(SHIPPED["customer-onboarding"])
    engine.act()
    engine.succeed(1)
    for _ in range(3):
        engine.act()
    engine.fail(2, code="unreadable", retryable=False)
    assert (engine.instance.status, engine.instance.state) == ("AWAITING_REVIEWS", "EKYC_PENDING")
    engine.decide("return")
    assert (engine.instance.status, engine.instance.state) == ("ACTIVE", "PROFILE_COMPLETED")
    assert any(isinstance(order, ArmTimer) and order.name == "expiry" for order in engine.orders)
