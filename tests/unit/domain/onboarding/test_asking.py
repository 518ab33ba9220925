"""What leaves for a handler outside, and whose answers count."""

from typing import Any
from uuid import UUID

import pytest

from domain.onboarding.asking import RESULT_BYTES, Words, answered, answers_its_call, asked, target_document
from domain.onboarding.calls import call_id
from schemas.flows import Handler
from schemas.onboarding import StepFailed, StepSucceeded
from schemas.steps import StepReplied

EFFECT = UUID(int=5)


def _request(handler: Handler) -> dict[str, Any]:
    return {
        "instanceId": "i-1",
        "flow": "loan",
        "flowVersion": 2,
        "subject": "ann",
        "step": 3,
        "attempt": 2,
        "state": "PAYOUT",
        "action": "NEXT",
        "handler": handler.name,
        "undoes": None,
        "idempotencyId": str(UUID(int=4)),
        "target": target_document(handler),
    }


def _reply(**said: Any) -> StepReplied:
    named = {"instance_id": "i-1", "step": "3", "attempt": 2, "effect_id": str(call_id("acme", "i-1", 3, 2))}
    return StepReplied.model_validate({**named, **said})


@pytest.mark.requirement("trap-79")
def test_no_more_of_the_case_leaves_than_the_flow_names() -> None:
    case = {"amount": 5, "name": "An", "account": "1"}
    named = asked(EFFECT, _request(Handler(name="pay", kind="http", input=("amount", "account", "gone"))), Words(case))
    assert named.input == {"amount": 5, "account": "1"}
    assert (named.effect_id, named.idempotency_id, named.callback) == (str(EFFECT), str(UUID(int=4)), None)
    nothing = asked(EFFECT, _request(Handler(name="pay", kind="http")), Words(case, {"payment": "7"}), callback=True)
    assert (nothing.input, nothing.result) == ({}, {"payment": "7"})
    assert nothing.callback == f"/api/v1/workflow-instance-steps/{EFFECT}/complete"


@pytest.mark.requirement("SP-8")
def test_an_answer_counts_for_the_call_that_it_names_in_its_own_tenant() -> None:
    assert answers_its_call("acme", _reply())
    assert not answers_its_call("other", _reply())
    for wrong in (
        {"step": "4"},
        {"attempt": 1},
        {"instance_id": "i-2"},
        {"effect_id": "x"},
        {"step": "3x"},
        {"step": "9" * 99},
    ):
        assert not answers_its_call("acme", _reply(**wrong)), wrong


def test_a_reply_is_heard_as_an_outcome_and_too_much_as_a_failure_that_nobody_can_judge() -> None:
    assert answered(_reply(outcome="PAID", data={"id": 1})) == StepSucceeded(**_named(), outcome="PAID", data={"id": 1})
    assert answered(_reply(code="no-account")) == StepFailed(**_named(), code="no-account", retryable=False)
    for data, code in (({"x": "a" * RESULT_BYTES}, "result-too-large"), ({"x": 2**70}, "result-no-json")):
        assert answered(_reply(data=data)) == StepFailed(**_named(), code=code, retryable=False, unknown=True)


def _named() -> dict[str, Any]:
    reply = _reply()
    return {"instance_id": "i-1", "step": "3", "attempt": 2, "effect_id": reply.effect_id}
