"""What the world must do for an instance, as data. `wanted` says it of any instance; a decision's orders are the difference.

So no order can be forgotten: a timer whose reason is gone is disarmed, a task that nobody waits for is closed, and a recovery
issues again what is wanted and changes nothing where it is there. Ids are computed by the store: a call is known by instance,
step and attempt, a timer by instance and name, a task by instance and number.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from domain.onboarding.instance import FINAL, Instance, Step


@dataclass(frozen=True, slots=True)
class RunStep:
    """Plan the call of an attempt. Its idempotency id is that of the step: the same for all attempts.

    `undoes`: the forward step whose result is the input; `input_from`: the event that holds other input, edited by a person.
    """

    step: int
    attempt: int
    state: str
    action: str
    handler: str
    undoes: int | None = None
    input_from: int | None = None


@dataclass(frozen=True, slots=True)
class CancelCall:
    """Cancel the call if nobody has claimed it; how it ended comes back as an outcome in any case."""

    step: int
    attempt: int


@dataclass(frozen=True, slots=True)
class ArmTimer:
    """`TimerFired(name, entry)` at an instant. Arming a name again moves it."""

    name: str
    due_at: datetime
    entry: int


@dataclass(frozen=True, slots=True)
class DisarmTimer:
    """The timer is not wanted any more."""

    name: str


@dataclass(frozen=True, slots=True)
class OpenTask:
    """Make a work item in the group's queue."""

    task: int
    group: str
    state: str
    step: int | None
    editable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CloseTask:
    """The decision is not wanted any more, or was made."""

    task: int


@dataclass(frozen=True, slots=True)
class RaiseIncident:
    """An operator is needed: a step (`step-failed`) or its compensation (`compensation-failed`) gave up."""

    kind: str
    step: int


@dataclass(frozen=True, slots=True)
class ResolveIncident:
    """What the operator was needed for is over."""

    kind: str
    step: int


@dataclass(frozen=True, slots=True)
class Remind:
    """Tell whoever the state waits for."""

    state: str
    number: int


@dataclass(frozen=True, slots=True)
class PersistCase:
    """A persist point: store the case as its next version."""

    state: str
    entry: int


Order = (
    RunStep
    | CancelCall
    | ArmTimer
    | DisarmTimer
    | OpenTask
    | CloseTask
    | RaiseIncident
    | ResolveIncident
    | Remind
    | PersistCase
)
# What lasts until it is taken back.
Lasting = RunStep | ArmTimer | OpenTask | RaiseIncident

# Why a recovery orders again, where somebody looked and it was not there; histories keep these words.
CALL_MISSING, TIMER_MISSING, TASK_MISSING, OUTCOME_UNFOLDED = (
    "call-missing", "timer-missing", "task-missing", "outcome-unfolded",
)  # fmt: skip
MISSING = frozenset({CALL_MISSING, TIMER_MISSING, TASK_MISSING, OUTCOME_UNFOLDED})


def wanted(instance: Instance) -> dict[object, Lasting]:
    """Everything that must be there for an instance, by key."""
    found: dict[object, Lasting] = {}
    if instance.status in FINAL:
        return found
    if instance.waits:
        _time_of_state(instance, found)
    if instance.review is not None:
        task = instance.review
        _add(found, OpenTask(task.number, task.group, instance.state, task.step, task.editable))
    step = instance.step
    if step is None:
        return found
    if instance.status == "INCIDENT":
        _add(found, RaiseIncident("step-failed", step.number))
    elif instance.status == "COMPENSATION_FAILED":
        _add(found, RaiseIncident("compensation-failed", step.number))
    else:
        _work_of(step, instance.entry, found)
    return found


def changes(before: dict[object, Lasting], after: dict[object, Lasting], instance: Instance) -> Iterator[Order]:
    """From what was wanted to what is: first what is taken back, then what is new."""
    for key, old in before.items():
        if key not in after:
            taken = _taken_back(old, instance)
            if taken is not None:
                yield taken
    for key, new in after.items():
        if before.get(key) != new:
            yield new


def apply_orders(standing: dict[object, Lasting], orders: Iterable[Order]) -> None:
    """What stands after orders were carried out: for tests, and for whoever compares rows with an instance."""
    for order in orders:
        if isinstance(order, RunStep | ArmTimer | OpenTask | RaiseIncident):
            standing[_key_of(order)] = order
        elif not isinstance(order, Remind | PersistCase):
            standing.pop(_key_taken(order), None)


def _key_of(order: Lasting) -> tuple[object, ...]:
    match order:
        case RunStep():
            return "call", order.step, order.attempt
        case ArmTimer():
            return "timer", order.name
        case OpenTask():
            return "task", order.task
        case RaiseIncident():
            return "incident", order.step


def _key_taken(order: CancelCall | DisarmTimer | CloseTask | ResolveIncident) -> tuple[object, ...]:
    match order:
        case CancelCall():
            return "call", order.step, order.attempt
        case DisarmTimer():
            return "timer", order.name
        case CloseTask():
            return "task", order.task
        case ResolveIncident():
            return "incident", order.step


def _add(found: dict[object, Lasting], order: Lasting) -> None:
    found[_key_of(order)] = order


def _time_of_state(instance: Instance, found: dict[object, Lasting]) -> None:
    if instance.expires_at is not None:
        _add(found, ArmTimer("expiry", instance.expires_at, instance.entry))
    for number, due in enumerate(instance.reminders_at, start=1):
        if number > instance.reminders:
            _add(found, ArmTimer(f"reminder.{number}", due, instance.entry))


def _work_of(step: Step, entry: int, found: dict[object, Lasting]) -> None:
    number, attempt = step.number, step.attempt
    if step.status == "running":
        _add(found, RunStep(number, attempt, step.state, step.action, step.handler, step.undoes, step.input_from))
    timers = (
        (f"attempt.{number}.{attempt}", step.attempt_due),
        (f"retry.{number}.{attempt + 1}", step.retry_due),
        (f"total.{number}", step.total_due),
    )
    for name, due in timers:
        if due is not None:
            _add(found, ArmTimer(name, due, entry))


def _taken_back(old: Lasting, instance: Instance) -> Order | None:
    match old:
        case ArmTimer():
            return DisarmTimer(old.name)
        case OpenTask():
            return CloseTask(old.task)
        case RaiseIncident():
            return ResolveIncident(old.kind, old.step)
        case RunStep():
            step = instance.steps.get(old.step)
            # A call that has ended needs no cancelling.
            return CancelCall(old.step, old.attempt) if step is not None and old.attempt in step.open else None
