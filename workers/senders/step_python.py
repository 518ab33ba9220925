"""Steps whose code is Python in this process: the case is opened, the handler called, what it gave is sealed.

| the handler | means |
|---|---|
| returns a StepResult, a mapping or nothing | done |
| raises NotDone | nothing was done; again, unless it is not retryable |
| lets VersionUnsupported through | an incident: the journey waits for other code, whatever its flow says of failures |
| raises anything else, or takes too long | nobody knows; again |
| returns something else, or more than 256 kB | refused: the same call would give the same, and nobody knows what was done |
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any
from uuid import UUID

from domain.effects.effect import Answer, Call, Done, Refused, Retry
from domain.onboarding.asking import Words
from domain.onboarding.calls import KIND
from domain.onboarding.handlers import Handler, Journal, NotDone, StepCall, StepResult, VersionUnsupported
from domain.onboarding.sealing import Keys
from domain.onboarding.stepping import VERSION_UNSUPPORTED
from runtime.logging import get_logger
from schemas.errors import ConfigurationError, DecryptionFailed
from workers.senders.step_answers import given_up
from workers.senders.step_words import ERASED, done, opened

log = get_logger(__name__)


def load_handlers(modules: Iterable[str]) -> dict[str, Handler]:
    """The HANDLERS of these modules. Raises ConfigurationError: a module that is not there or has none, a name given twice."""
    return _load(modules, "HANDLERS", "handler", needed=True)


def load_versions(modules: Iterable[str]) -> dict[str, int]:
    """The VERSIONS of these modules, which need have none. Raises ConfigurationError."""
    return _load(modules, "VERSIONS", "change", needed=False)


def _load(modules: Iterable[str], attribute: str, what: str, *, needed: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    problems = []
    for name in modules:
        try:
            module = import_module(name)
            given: Mapping[str, Any] = getattr(module, attribute) if needed else getattr(module, attribute, {})
        except (ImportError, AttributeError) as error:
            problems.append(f"CASESTREAM_ONBOARDING__HANDLERS: {name} has no {attribute}: {error}")
            continue
        problems += [f"CASESTREAM_ONBOARDING__HANDLERS: {name} gives {what} {one} again" for one in given if one in found]
        found |= given
    if problems:
        raise ConfigurationError(problems)
    return found


class PythonSteps:
    """The sender of kind `step-python`."""

    kind = KIND["python"]

    def __init__(self, handlers: Mapping[str, Handler], keys: Keys, journal: Journal | None = None) -> None:
        self._handlers, self._keys, self._journal = handlers, keys, journal

    async def send(self, call: Call) -> Answer:
        """Call the handler once."""
        request = call.request
        handler = self._handlers.get(request["handler"])
        if handler is None:
            return Refused("handler-unknown", {"retryable": False, "unknown": False})
        try:
            words = await opened(self._keys, call.tenant_id, request)
        except DecryptionFailed:
            return ERASED
        try:
            given = await handler(_call_of(call.tenant_id, request, words, self._journal))
        except NotDone as error:
            detail = {"retryable": error.retryable, "unknown": False}
            return Retry(error.code, detail=detail) if error.retryable else Refused(error.code, detail)
        except VersionUnsupported:
            return given_up(VERSION_UNSUPPORTED, unknown=True)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is its answer
            # Its text may be about a person: only the class is told.
            log.warning("handler raised", kind=request["handler"], tenant_id=call.tenant_id, aggregate_id=request["instanceId"])
            return Retry(type(error).__name__)
        return await self._answer(call, given)

    async def _answer(self, call: Call, given: object) -> Answer:
        result = given if isinstance(given, StepResult) else StepResult(given) if isinstance(given, Mapping) else None
        if result is None:
            return Done() if given is None else given_up("result-no-mapping", unknown=True)
        return await done(self._keys, call, result)


def _call_of(tenant_id: str, request: Mapping[str, Any], words: Words, journal: Journal | None) -> StepCall:
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
        journal=journal,
    )
