"""What the answer to a step's HTTP call means. Pure.

| the other side | means |
|---|---|
| 2xx with nothing, or with a JSON object | done; its `outcome` chooses the way, its `data` becomes part of the case |
| 202 | it has the call, and the answer comes by callback |
| 2xx with anything else, or more than is read of an answer | given up, and nobody knows what was done |
| 422 with `{"code": ...}` | a business no by this code: given up, and nothing was done |
| 3xx, other 4xx | given up; nothing was done, unless the same call was made before |
| 425, 429 | again; nothing was done, unless the same call was made before |
| 408, 5xx, no answer in time, a broken one | again, and nobody knows |
| name, connection or TLS failed | again; nothing was done, unless the same call was made before |
| denied address, missing secret, more than 20 kB to send | given up; nobody was called |
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from domain.effects.effect import Refused, Retry
from domain.onboarding.handlers import StepResult
from runtime.outbound import Answered, Denied, Failed
from schemas.models import Code
from workers.senders.webhook import AGAIN

_ACCEPTED, _BUSINESS = 202, 422
_HEARD_NOTHING = frozenset({"name", "connect", "tls"})
_DID_NOTHING = frozenset({425, 429})


@dataclass(frozen=True, slots=True)
class Later:
    """The other side has the call; its answer comes by callback."""


Said = StepResult | Later | Retry | Refused


class _Result(BaseModel):
    """What a 2xx answer may say; what else it says is not looked at."""

    model_config = ConfigDict(extra="ignore")

    outcome: Code | None = None
    data: dict[str, Any] | None = None


class _No(BaseModel):
    model_config = ConfigDict(extra="ignore")

    code: Code


def meaning_of(said: Answered | Denied | Failed | Retry | Refused, *, first: bool) -> Said:
    """`first`: this very call was not made before, by a worker that died."""
    if isinstance(said, Retry):
        return Retry(said.reason, detail={"unknown": not first})
    if isinstance(said, Refused):
        return given_up(said.reason, unknown=not first)
    if isinstance(said, Denied):
        return given_up(f"denied-{said.reason}", unknown=not first)
    if isinstance(said, Failed):
        return Retry(f"network-{said.reason}", detail={"unknown": not first or said.reason not in _HEARD_NOTHING})
    return _of_answer(said, first)


def given_up(code: str, *, unknown: bool) -> Refused:
    """No other attempt of this kind would help."""
    return Refused(code, {"retryable": False, "unknown": unknown})


def _of_answer(said: Answered, first: bool) -> Said:
    if said.status == _ACCEPTED:
        return Later()
    if 200 <= said.status < 300:
        return _result(said)
    if said.status in AGAIN or said.status >= 500 or said.status < 200:
        return Retry(f"http-{said.status}", detail={"unknown": not first or said.status not in _DID_NOTHING})
    if said.status == _BUSINESS and (code := _business(said)) is not None:
        return given_up(code, unknown=False)
    return given_up(f"http-{said.status}", unknown=not first)


def _result(said: Answered) -> StepResult | Refused:
    if said.cut:
        return given_up("answer-too-large", unknown=True)
    if not said.body.strip():
        return StepResult()
    try:
        result = _Result.model_validate_json(said.body)
    except ValidationError:
        return given_up("answer-unreadable", unknown=True)
    return StepResult(result.data or {}, result.outcome)


def _business(said: Answered) -> str | None:
    try:
        return _No.model_validate_json(said.body).code
    except ValidationError:
        return None
