"""What a call of a step carries is opened just before it is made, and what a handler gave is sealed at once."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from domain.effects.effect import Answer, Call, Done
from domain.onboarding.asking import Words, fault_of
from domain.onboarding.handlers import StepResult
from domain.onboarding.sealing import CASE, EVENT, RESULT, Keys, key_place, open_words, seal_words
from runtime.keys.ring import Subject
from workers.senders.step_answers import given_up

ERASED = given_up("erased", unknown=False)


async def opened(keys: Keys, tenant_id: str, request: Mapping[str, Any]) -> Words:
    """The case, and the result that an undo needs. Raises DecryptionFailed: the subject was erased."""
    subject = (tenant_id, request["subject"])
    sealed = {name: b64decode(one["sealed"]) for name in ("case", "result") if (one := request[name]) is not None}
    if not sealed:
        return Words({})
    secrets = await keys.secrets([key_place(subject, content) for content in sealed.values()])
    found = {
        name: open_words(secrets, subject, kind, request["instanceId"], request[name]["number"], sealed[name])
        for name, kind in (("case", CASE), ("result", EVENT))
        if name in sealed
    }
    return Words(found.get("case", {}), (found.get("result") or {}).get("data"))


async def sealed_for(keys: Keys, call: Call, words: object) -> dict[str, Any] | None:
    """Words about the call's subject as its outcome keeps them; None: the subject is erased."""
    subject: Subject = (call.tenant_id, call.request["subject"])
    key = (await keys.current([subject])).get(subject)
    if key is None:
        return None
    sealed = seal_words(key, subject, RESULT, str(call.effect_id), 0, words)
    return {"subject": subject[1], "sealed": b64encode(sealed).decode()}


async def done(keys: Keys, call: Call, result: StepResult) -> Answer:
    """The answer of a handler that did its step."""
    fault = fault_of(result.data)
    if fault is not None:
        return given_up(fault, unknown=True)
    detail: dict[str, Any] = {} if result.outcome is None else {"outcome": result.outcome}
    if not result.data:
        return Done(detail)
    # Of somebody who was erased meanwhile: it was done, and nothing of it is kept.
    return Done({**detail, **(await sealed_for(keys, call, dict(result.data)) or {})})
