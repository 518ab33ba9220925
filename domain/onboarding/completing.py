"""A handler outside answers a call by its id, as the HTTP door takes it: one command, in the caller's transaction.

| the call | the answer |
|---|---|
| is waited for, or was once | counts as any outcome of its attempt (`stepping`) |
| has its answer already | changes nothing: the first one counts |
| is planned, and nobody was called | refused: nobody can know what it asks |
| is not there, is another tenant's, or code of this process makes it | not found |
"""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from domain.effects.commands import find_effect
from domain.onboarding.calls import KIND, OWNER
from domain.onboarding.commands import give
from domain.onboarding.engine import Engine
from domain.onboarding.refusals import no_such_call, not_called_yet
from domain.onboarding.turn import Outcome
from domain.onboarding.waiting import end_waiting
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.onboarding import StepFailed, StepSucceeded

_OUTSIDE = frozenset({KIND["http"], KIND["kafka"]})


@dataclass(frozen=True, slots=True)
class OutsideCall:
    """A call that a handler outside answers."""

    effect_id: UUID
    instance_id: str
    step: int
    attempt: int
    subject_id: str

    def named(self) -> dict[str, Any]:
        """How outcomes name it."""
        return {
            "instance_id": self.instance_id,
            "step": str(self.step),
            "attempt": self.attempt,
            "effect_id": str(self.effect_id),
        }


async def find_call(conn: Connection, tenant_id: str, effect_id: UUID) -> OutsideCall | Rejected:
    """The call of this id, without a lock."""
    effect = await find_effect(conn, tenant_id, effect_id)
    if effect is None or effect.owner_kind != OWNER or effect.kind not in _OUTSIDE:
        return no_such_call(effect_id)
    if effect.attempt == 0:
        return not_called_yet(effect_id)
    return OutsideCall(effect_id, effect.owner_id, effect.index, int(effect.occurrence), effect.subject_id or "")


async def complete(conn: Connection, engine: Engine, caller: Caller, answer: StepSucceeded | StepFailed) -> Outcome:
    """Give the answer, which the door has built of a call that it found and whose bearer may answer."""
    outcome = await give(conn, engine, replace(caller, roles=frozenset({"engine"})), answer)
    if not isinstance(outcome, Rejected):
        await end_waiting(conn, [(caller.tenant_id, answer.effect_id)])
    return outcome
