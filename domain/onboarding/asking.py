"""What a handler outside is asked, and what its answer is: the same over HTTP, by callback and over Kafka. Pure.

| answer | is |
|---|---|
| done, with an outcome and data or without | StepSucceeded |
| data that cannot be kept | StepFailed for good, and nobody knows: it did something |
| not done, with a code | StepFailed as it says: again or not, and whether nobody knows |
| later | nothing yet: the call is waited for, `waiting` says how long |
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson

from domain.onboarding.calls import call_id
from schemas.flows import Handler
from schemas.onboarding import StepFailed, StepSucceeded
from schemas.steps import StepReplied, StepRequested

RESULT_BYTES = 256 * 1024
CALLBACK = "/api/v1/workflow-instance-steps/{call_id}/complete"


@dataclass(frozen=True, slots=True)
class Words:
    """What was opened for a call. `result`: of an undo, what its forward step gave."""

    case: Mapping[str, Any] = field(repr=False)
    result: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a call reaches, as the flow's definition says."""

    url: str | None
    secret: str | None
    topic: str
    input: tuple[str, ...]
    answer_within: timedelta


def target_document(handler: Handler) -> dict[str, Any] | None:
    """What a call carries about its handler; nothing for code of this process."""
    if handler.kind == "python":
        return None
    return {
        "url": handler.url,
        "secret": handler.secret,
        "topic": handler.topic,
        "input": handler.input,
        "answerSeconds": handler.answer_within.total_seconds(),
    }


def target_of(request: Mapping[str, Any]) -> Target:
    """The same, of a call's request."""
    said = request.get("target") or _NOWHERE
    within = timedelta(seconds=said["answerSeconds"])
    return Target(said["url"], said["secret"], said["topic"], tuple(said["input"]), within)


# Of a call that was planned before there were handlers outside.
_NOWHERE: Mapping[str, Any] = {"url": None, "secret": None, "topic": "", "input": (), "answerSeconds": 0}


def asked(effect_id: UUID, request: Mapping[str, Any], words: Words, *, callback: bool = False) -> StepRequested:
    """The request, with no more of the case than the handler's `input` names."""
    return StepRequested(
        instance_id=request["instanceId"],
        step=str(request["step"]),
        attempt=request["attempt"],
        effect_id=str(effect_id),
        idempotency_id=request["idempotencyId"],
        flow=request["flow"],
        flow_version=request["flowVersion"],
        user_id=request["subject"],
        state=request["state"],
        action=request["action"],
        handler=request["handler"],
        undoes=request["undoes"],
        callback=CALLBACK.format(call_id=effect_id) if callback else None,
        input={name: words.case[name] for name in target_of(request).input if name in words.case},
        result=None if words.result is None else dict(words.result),
    )


def fault_of(data: object) -> str | None:
    """Why a result cannot be kept, as a code; None: it can."""
    try:
        size = len(json.dumps(data, ensure_ascii=False, allow_nan=False).encode())
        # What is sealed is written by this library, which takes no number beyond 64 bits and no nesting beyond 254.
        orjson.dumps({"data": data})
    except (TypeError, ValueError):
        return "result-no-json"
    return "result-too-large" if size > RESULT_BYTES else None


def answered(reply: StepReplied) -> StepSucceeded | StepFailed:
    """A reply as the instance hears it."""
    named: dict[str, Any] = {
        "instance_id": reply.instance_id,
        "step": reply.step,
        "attempt": reply.attempt,
        "effect_id": reply.effect_id,
    }
    if reply.code is not None:
        return StepFailed(**named, code=reply.code, retryable=reply.retryable, unknown=reply.unknown)
    fault = None if reply.data is None else fault_of(reply.data)
    if fault is not None:
        return StepFailed(**named, code=fault, retryable=False, unknown=True)
    return StepSucceeded(**named, outcome=reply.outcome, data=reply.data)


def answers_its_call(tenant_id: str, reply: StepReplied) -> bool:
    """Whether it names the call that its instance, step and attempt have: ids of calls are computed from them."""
    if not (reply.step.isdecimal() and len(reply.step) < 10):
        return False
    return reply.effect_id == str(call_id(tenant_id, reply.instance_id, int(reply.step), reply.attempt))
