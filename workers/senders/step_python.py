"""Steps whose code is Python in this process: the case is opened, the handler called, what it gave is sealed.

| the handler | means |
|---|---|
| returns a StepResult, a mapping or nothing | done |
| raises NotDone | nothing was done; again, unless it is not retryable |
| raises anything else, or takes too long | nobody knows; again |
| returns something else, or more than 256 kB | refused: the same call would give the same, and nobody knows what was done |
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from uuid import UUID

from domain.effects.effect import Answer, Call, Done, Refused, Retry
from domain.onboarding.calls import KIND
from domain.onboarding.handlers import Handler, NotDone, StepCall, StepResult
from domain.onboarding.sealing import CASE, EVENT, RESULT, Keys, key_place, open_words, seal_words
from runtime.keys.ring import Subject
from runtime.logging import get_logger
from schemas.errors import ConfigurationError, DecryptionFailed

log = get_logger(__name__)

RESULT_BYTES = 256 * 1024


def load_handlers(modules: Iterable[str]) -> dict[str, Handler]:
    """The HANDLERS of these modules. Raises ConfigurationError: a module that is not there or has none, a name given twice."""
    found: dict[str, Handler] = {}
    problems = []
    for name in modules:
        try:
            given: Mapping[str, Handler] = import_module(name).HANDLERS
        except (ImportError, AttributeError) as error:
            problems.append(f"CASESTREAM_ONBOARDING__HANDLERS: {name} has no HANDLERS: {error}")
            continue
        problems += [f"CASESTREAM_ONBOARDING__HANDLERS: {name} gives handler {one} again" for one in given if one in found]
        found |= given
    if problems:
        raise ConfigurationError(problems)
    return found


@dataclass(frozen=True, slots=True)
class _Words:
    """What was opened for a call."""

    case: Mapping[str, Any]
    result: Mapping[str, Any] | None


class PythonSteps:
    """The sender of kind `step-python`."""

    kind = KIND["python"]

    def __init__(self, handlers: Mapping[str, Handler], keys: Keys) -> None:
        self._handlers, self._keys = handlers, keys

    async def send(self, call: Call) -> Answer:
        """Call the handler once."""
        request = call.request
        handler = self._handlers.get(request["handler"])
        if handler is None:
            return Refused("handler-unknown", {"retryable": False, "unknown": False})
        try:
            words = await self._open(call.tenant_id, request)
        except DecryptionFailed:
            return Refused("erased", {"retryable": False, "unknown": False})
        try:
            given = await handler(_call_of(call.tenant_id, request, words))
        except NotDone as error:
            detail = {"retryable": error.retryable, "unknown": False}
            return Retry(error.code, detail=detail) if error.retryable else Refused(error.code, detail)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is its answer
            # Its text may be about a person: only the class is told.
            log.warning("handler raised", kind=request["handler"], tenant_id=call.tenant_id, aggregate_id=request["instanceId"])
            return Retry(type(error).__name__)
        return await self._answer(call, (call.tenant_id, request["subject"]), given)

    async def _open(self, tenant_id: str, request: Mapping[str, Any]) -> _Words:
        subject = (tenant_id, request["subject"])
        sealed = {name: b64decode(one["sealed"]) for name in ("case", "result") if (one := request[name]) is not None}
        if not sealed:
            return _Words({}, None)
        secrets = await self._keys.secrets([key_place(subject, content) for content in sealed.values()])
        opened = {
            name: open_words(secrets, subject, kind, request["instanceId"], request[name]["number"], sealed[name])
            for name, kind in (("case", CASE), ("result", EVENT))
            if name in sealed
        }
        return _Words(opened.get("case", {}), (opened.get("result") or {}).get("data"))

    async def _answer(self, call: Call, subject: Subject, given: object) -> Answer:
        result = given if isinstance(given, StepResult) else StepResult(given) if isinstance(given, Mapping) else None
        if result is None:
            return Done() if given is None else Refused("result-no-mapping")
        try:
            size = len(json.dumps(result.data, ensure_ascii=False, allow_nan=False).encode())
        except (TypeError, ValueError):
            return Refused("result-no-json")
        if size > RESULT_BYTES:
            return Refused("result-too-large")
        detail: dict[str, Any] = {} if result.outcome is None else {"outcome": result.outcome}
        if not result.data:
            return Done(detail)
        key = (await self._keys.current([subject])).get(subject)
        if key is None:
            # Erased meanwhile: it was done, and nothing of it is kept.
            return Done(detail)
        sealed = seal_words(key, subject, RESULT, str(call.effect_id), 0, dict(result.data))
        return Done({**detail, "subject": subject[1], "sealed": b64encode(sealed).decode()})


def _call_of(tenant_id: str, request: Mapping[str, Any], words: _Words) -> StepCall:
    return StepCall(
        tenant_id=tenant_id,
        instance_id=request["instanceId"],
        flow=request["flow"],
        flow_version=request["flowVersion"],
        state=request["state"],
        action=request["action"],
        handler=request["handler"],
        step=request["step"],
        attempt=request["attempt"],
        idempotency_id=UUID(request["idempotencyId"]),
        case=words.case,
        result=words.result,
    )
