"""Events as rows of step_execution: which attempts began, and how they ended. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from domain.onboarding.history import Recorded
from schemas.workflow_events import LateOutcome, StepAttemptFailed, StepCompleted, StepStarted, StepTimedOut

Row = dict[str, Any]


def attempt_rows(tenant_id: str, instance_id: str, history: Iterable[Recorded]) -> tuple[list[Row], list[Row]]:
    """Attempts that began in these events, as they are after them, and what these events say of earlier attempts."""
    begun: dict[tuple[int, int], Row] = {}
    ended: dict[tuple[int, int], Row] = {}
    for row in history:
        event = row.event
        if isinstance(event, StepStarted):
            begun[event.step, event.attempt] = {
                "tenant_id": tenant_id,
                "instance_id": instance_id,
                "step": event.step,
                "attempt": event.attempt,
                "state": event.state,
                "action": event.action,
                "handler": event.handler,
                "undoes": event.undoes,
                "status": "RUNNING",
                "due_at": _text(event.attempt_due),
                "started_at": _text(event.at),
            }
        elif isinstance(event, StepCompleted | StepAttemptFailed | StepTimedOut | LateOutcome):
            key = (event.step, event.attempt)
            named = {"tenant_id": tenant_id, "instance_id": instance_id, "step": event.step, "attempt": event.attempt}
            target = begun.get(key) or ended.setdefault(key, named)
            target |= _end(row.number, event)
    return list(begun.values()), list(ended.values())


def _end(number: int, event: StepCompleted | StepAttemptFailed | StepTimedOut | LateOutcome) -> Row:
    if isinstance(event, StepTimedOut):
        return {"status": "TIMED_OUT", "code": f"{event.limit}-timeout"}
    ended = {"ended_at": _text(event.at)}
    if isinstance(event, StepCompleted) or (isinstance(event, LateOutcome) and event.succeeded):
        return {**ended, "status": "COMPLETED", "result": number}
    return {**ended, "status": "FAILED", "code": event.code if isinstance(event, StepAttemptFailed) else "late"}


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
