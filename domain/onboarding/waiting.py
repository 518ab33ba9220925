"""Calls whose answer comes later: their request is sent, and a timer ends the waiting. Nothing runs meanwhile.

1. The call's own effect has succeeded: the other side has the request. Its outcome says that the answer is still to come.
2. In the transaction that records it a request over Kafka leaves through the outbox, and the timer is armed.
3. The answer comes as a command, by callback or by a reply, and the timer is disarmed. One that comes before step 2 leaves a
   timer that changes nothing when it fires.
4. When the timer fires the call has failed and nobody knows: an undo that waited for it can begin (`saga`). A success that
   comes later still counts, as any late one.

The limits of the definition, attemptTimeout and totalTimeout, are the decider's and lie before that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from domain.effects.decisions import ERASED
from domain.effects.effect import Outcome
from domain.onboarding.publishing import ordered, requested
from domain.outbox import Outbox, OutboxEvent
from domain.timers.commands import arm, disarm
from domain.timers.timer import Fired, Timer
from runtime.sql import Connection
from schemas.onboarding import StepFailed
from schemas.steps import StepRequested

TIMER = "onboarding-call"
NO_ANSWER = "no-answer"
_WAITS = "waitsSeconds"


@dataclass(frozen=True, slots=True)
class Waits:
    """A call whose answer comes later. `said`: what of a request over Kafka is about a person."""

    outcome: Outcome
    said: Mapping[str, Any] | None = None


def detail_of(within: timedelta, request: StepRequested | None = None) -> dict[str, Any]:
    """What the outcome of such a call says. `request`: what is asked over Kafka, without what is about a person."""
    asked = {} if request is None else {"request": request.model_dump(mode="json", exclude_none=True)}
    return {_WAITS: within.total_seconds(), **asked}


def is_waiting(outcome: Outcome) -> bool:
    """Whether the call's answer is still to come."""
    return outcome.result == "succeeded" and _WAITS in (outcome.detail or {})


def unsendable(outcome: Outcome) -> Outcome:
    """A request over Kafka whose subject was erased before it left: nobody is asked."""
    return replace(outcome, result="failed", code=ERASED, detail={"retryable": False, "unknown": False})


async def begin_waiting(conn: Connection, outbox: Outbox, calls: Sequence[Waits], now: datetime) -> None:
    """Step 2. The caller has recorded the outcomes and holds no timer."""
    requests = [_request(outbox, one, now) for one in calls if "request" in (one.outcome.detail or {})]
    if requests:
        await outbox.append(conn, requests)
    await arm(conn, [_timer(one.outcome, now) for one in calls])


async def end_waiting(conn: Connection, calls: Iterable[tuple[str, str]]) -> None:
    """Step 3, for these calls (tenant, id). Timers are locked last, so after the instances."""
    await disarm(conn, {(tenant, timer_key(id_)): None for tenant, id_ in calls})


def timer_key(effect_id: str) -> str:
    return f"onboarding-call/{effect_id}"


class Overdue:
    """What the timers of such calls do."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def fire(self, conn: Connection, timers: Sequence[Timer], now: datetime) -> Sequence[Fired]:
        """Step 4: order StepFailed for each."""
        failed = [(timer.tenant_id, StepFailed.model_validate(timer.command)) for timer in timers]
        await self._outbox.append(conn, [ordered(command, tenant, "system:timers", now) for tenant, command in failed])
        return [Fired(timer.key) for timer in timers]


def _request(outbox: Outbox, one: Waits, now: datetime) -> OutboxEvent:
    asked = StepRequested.model_validate({**(one.outcome.detail or {})["request"], **(one.said or {})})
    return requested(asked, one.outcome.tenant_id, outbox.source, now)


def _timer(outcome: Outcome, now: datetime) -> Timer:
    overdue = StepFailed(
        instance_id=outcome.owner_id,
        step=str(outcome.index),
        attempt=int(outcome.occurrence),
        effect_id=str(outcome.effect_id),
        code=NO_ANSWER,
        retryable=True,
        unknown=True,
    )
    due = now + timedelta(seconds=(outcome.detail or {})[_WAITS])
    return Timer(outcome.tenant_id, timer_key(str(outcome.effect_id)), TIMER, due, overdue.model_dump(mode="json"))
