"""Timers. One that fires for another state entry, attempt or instant than it was armed for is old news (trap 78).

Whether a submit or an expiry was first is decided by the instance's row: whoever holds its lock first. Once an action is
accepted nobody is waited for, so the expiry finds nothing to do; once the instance is cancelled, the submit is refused.
"""

from datetime import datetime

from domain.onboarding import refusals, stepping
from domain.onboarding.instance import Step
from domain.onboarding.orders import Remind
from domain.onboarding.saga import begin_ending
from domain.onboarding.turn import Outcome, Turn, Unchanged
from schemas.onboarding import TimerFired
from schemas.workflow_events import ReminderSent, SlaExpired


def fired(turn: Turn, command: TimerFired) -> Outcome:
    """What the timer's name says: `expiry`, `reminder.N`, `attempt.STEP.N`, `retry.STEP.N`, `total.STEP`."""
    if "SYSTEM" not in turn.context.actors:
        return refusals.not_permitted(turn.instance, "fire a timer")
    if command.state_entry != turn.instance.entry:
        return Unchanged(turn.instance, f"timer {command.timer} is of state entry {command.state_entry}")
    kind, _, rest = command.timer.partition(".")
    numbers = [int(part) for part in rest.split(".") if part.isdecimal()]
    if kind in ("expiry", "reminder"):
        return _of_state(turn, command.timer, numbers)
    step = turn.instance.step
    if step is None or not numbers or numbers[0] != step.number:
        return _old(turn, command.timer)
    return _of_step(turn, command.timer, kind, step, numbers[-1])


def _of_state(turn: Turn, name: str, numbers: list[int]) -> Outcome:
    instance = turn.instance
    if not instance.waits:
        return _old(turn, name)
    if name == "expiry":
        return _expiry(turn) if _is_due(turn, instance.expires_at) else _old(turn, name)
    number = numbers[0] if numbers else 0
    due = instance.reminders_at[number - 1] if 0 < number <= len(instance.reminders_at) else None
    if number != instance.reminders + 1 or not _is_due(turn, due):
        return _old(turn, name)
    _remind(turn, number, instance.expires_at)
    return turn.decided()


def _expiry(turn: Turn) -> Outcome:
    instance = turn.instance
    sla = turn.flow.states[instance.state].sla
    if sla is None or sla.on_expiry == "cancel":
        turn.tell(SlaExpired(at=turn.now, state=instance.state))
        begin_ending(turn, "expired")
        return turn.decided()
    number = max(instance.reminders, len(instance.reminders_at)) + 1
    more = number - len(instance.reminders_at) < sla.most_reminders
    _remind(turn, number, turn.now + sla.expires_after if more else None)
    return turn.decided()


def _remind(turn: Turn, number: int, expires_at: datetime | None) -> None:
    turn.tell(ReminderSent(at=turn.now, number=number, expires_at=expires_at))
    turn.notices.append(Remind(turn.instance.state, number))


def _of_step(turn: Turn, name: str, kind: str, step: Step, number: int) -> Outcome:
    if kind == "attempt" and step.status == "running" and number == step.attempt and _is_due(turn, step.attempt_due):
        return stepping.attempt_timed_out(turn, step)
    if kind == "retry" and step.status == "retrying" and number == step.attempt + 1 and _is_due(turn, step.retry_due):
        return stepping.retry_due(turn, step)
    if kind == "total" and step.status != "stalled" and _is_due(turn, step.total_due):
        return stepping.total_timed_out(turn, step)
    return _old(turn, name)


def _is_due(turn: Turn, due: datetime | None) -> bool:
    return due is not None and due <= turn.now


def _old(turn: Turn, name: str) -> Unchanged:
    return Unchanged(turn.instance, f"nothing waits for timer {name}, or not yet")
