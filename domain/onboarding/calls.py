"""Calls of steps: their ids, what they carry, and how their outcomes become commands. Pure.

A call carries the case as it is sealed, so that nothing of a person is readable in the table of effects; who makes the call
opens it. Its idempotency id is that of the step: the same for all attempts.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain.effects.decisions import ERASED
from domain.effects.effect import Outcome, RetryPolicy, effect_id
from domain.onboarding.instance import Instance
from domain.onboarding.orders import RunStep
from schemas.flows import HandlerKind
from schemas.onboarding import StepFailed, StepSucceeded

OWNER = "onboarding"
KIND: Mapping[HandlerKind, str] = {"python": "step-python", "http": "step-http", "kafka": "step-kafka"}
# Attempts are the engine's: an effect is one call.
ONCE = RetryPolicy(0, 0.0, "fixed")


@dataclass(frozen=True, slots=True)
class Sealed:
    """Words sealed for a place of the instance: the case's version, or the number of an event."""

    number: int
    content: bytes = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        return {"number": self.number, "sealed": base64.b64encode(self.content).decode()}


@dataclass(frozen=True, slots=True)
class Planned:
    """What a call carries besides its order. `result`: what the forward step gave, for its undo; or a person's other input.

    `target`: whom a handler outside is reached by.
    """

    handler_kind: HandlerKind
    target: Mapping[str, Any] | None = None
    case: Sealed | None = None
    result: Sealed | None = None


def call_id(tenant_id: str, instance_id: str, step: int, attempt: int) -> UUID:
    """The effect of an attempt. Ids of instances are a tenant's own."""
    return effect_id(OWNER, f"{tenant_id}/{instance_id}", step, str(attempt))


def step_id(tenant_id: str, instance_id: str, step: int) -> UUID:
    """The idempotency id that the handler sees."""
    return effect_id(OWNER, f"{tenant_id}/{instance_id}", step, "")


def request_of(instance: Instance, order: RunStep, planned: Planned) -> dict[str, Any]:
    """What whoever makes the call needs to know."""
    return {
        "instanceId": instance.id,
        "flow": instance.flow,
        "flowVersion": instance.flow_version,
        "subject": instance.user_id,
        "step": order.step,
        "attempt": order.attempt,
        "state": order.state,
        "action": order.action,
        "handler": order.handler,
        "undoes": order.undoes,
        "idempotencyId": str(step_id(instance.tenant_id, instance.id, order.step)),
        "case": planned.case.as_json() if planned.case else None,
        "result": planned.result.as_json() if planned.result else None,
        **({} if planned.target is None else {"target": planned.target}),
    }


def command_of(outcome: Outcome, data: dict[str, Any] | None) -> StepSucceeded | StepFailed:
    """What an outcome says to the instance. `data`: what the handler gave, opened."""
    detail = outcome.detail or {}
    named = {
        "instance_id": outcome.owner_id,
        "step": str(outcome.index),
        "attempt": int(outcome.occurrence),
        "effect_id": str(outcome.effect_id),
    }
    if outcome.result == "succeeded":
        return StepSucceeded(**named, outcome=detail.get("outcome"), data=data)
    called = outcome.result == "failed"
    return StepFailed(
        **named,
        code=outcome.code or outcome.result,
        retryable=called and outcome.code != ERASED and bool(detail.get("retryable", True)),
        # A call that ended without a word may have been heard.
        unknown=called and outcome.code != ERASED and bool(detail.get("unknown", True)),
        called=called,
    )
