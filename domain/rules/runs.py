"""A run of a rule: which action comes next, and how it ended. Pure; the triple is `begin`, `settle` and `cancel`.

    WAITING --promoted--> DUE --outcome--> SUCCESS | FAILED | CANCELLED
       `------ a failure with stopOnFailure, or a cancel ------> SKIPPED | CANCELLED

1. An action is promoted when every earlier action that is not asynchronous has its outcome (traps 26, 28).
2. An asynchronous action lets the next one go at once; its own outcome still counts, and still stops what waits.
3. After a failure with `stopOnFailure` whatever waits is skipped and recorded as such (trap 27).
4. A run ends when no action waits and none is due: SUCCESS without a failure, FAILED without a success, else
   PARTIAL_SUCCESS. A retry that succeeds is a success, and hides no other action's failure (trap 26).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from schemas.rules import ActionType, ExecutionStatus

ActionStatus = Literal["WAITING", "DUE", "SUCCESS", "FAILED", "SKIPPED", "CANCELLED"]
OPEN: frozenset[ActionStatus] = frozenset({"WAITING", "DUE"})
FINAL = frozenset(ExecutionStatus) - {ExecutionStatus.PENDING, ExecutionStatus.RUNNING}


@dataclass(frozen=True, slots=True)
class Result:
    """How an action ended. `code` is a short word for the log, never payload."""

    status: Literal["SUCCESS", "FAILED", "CANCELLED"]
    code: str = ""


@dataclass(frozen=True, slots=True)
class ActionState:
    """An action of a run, by its place in `Run.actions`. `delay_seconds`: from its promotion, DELAY's own included."""

    type: ActionType
    stop_on_failure: bool = False
    is_async: bool = False
    delay_seconds: int = 0
    status: ActionStatus = "WAITING"
    code: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """The state of a run: its actions in order. Everything else about it is derived."""

    actions: tuple[ActionState, ...]
    cancelled: bool = False

    def count(self, *statuses: ActionStatus) -> int:
        """How many actions have one of these statuses."""
        return sum(action.status in statuses for action in self.actions)

    @property
    def status(self) -> ExecutionStatus:
        """PENDING until an action has begun without delay or ended, then RUNNING, then one of the final ones."""
        if self.count("WAITING", "DUE"):
            begun = any(a.status != "WAITING" and not (a.status == "DUE" and a.delay_seconds) for a in self.actions)
            return ExecutionStatus.RUNNING if begun else ExecutionStatus.PENDING
        if self.cancelled:
            return ExecutionStatus.CANCELLED
        if not self.count("FAILED"):
            return ExecutionStatus.SUCCESS
        return ExecutionStatus.PARTIAL_SUCCESS if self.count("SUCCESS") else ExecutionStatus.FAILED


@dataclass(frozen=True, slots=True)
class Progress:
    """A run one step on: what became due, and what never will be."""

    run: Run
    promoted: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()


def begin(actions: Iterable[ActionState]) -> Progress:
    """A new run with its first actions due; a run without actions is over."""
    return _go_on(Run(tuple(actions)))


def settle(run: Run, results: Mapping[int, Result]) -> Progress:
    """The outcomes of due actions, and of failed ones that an operator tried again with success.

    Any other outcome is old news and changes nothing. What was skipped behind a failure stays skipped.
    """
    known = {index: result for index, result in results.items() if _is_news(run.actions[index], result)}
    return _go_on(_with(run, {index: (result.status, result.code) for index, result in known.items()}))


def cancel(run: Run) -> Progress:
    """A person cancels: what waits will never be due; what is due is cancelled where nobody has claimed it yet."""
    waiting = _places(run, "WAITING")
    return Progress(replace(_with(run, dict.fromkeys(waiting, ("CANCELLED", ""))), cancelled=True), skipped=waiting)


def _is_news(action: ActionState, result: Result) -> bool:
    return action.status == "DUE" or (action.status == "FAILED" and result.status == "SUCCESS")


def _go_on(run: Run) -> Progress:
    if any(action.status == "FAILED" and action.stop_on_failure for action in run.actions):
        skipped = _places(run, "WAITING")
        return Progress(_with(run, dict.fromkeys(skipped, ("SKIPPED", "stopped"))), skipped=skipped)
    promoted = tuple(_promotable(run.actions))
    return Progress(_with(run, dict.fromkeys(promoted, ("DUE", ""))), promoted=promoted)


def _promotable(actions: Iterable[ActionState]) -> Iterable[int]:
    for index, action in enumerate(actions):
        if action.status == "WAITING":
            yield index
        # What is due, or becomes due here, holds back what follows, unless nobody is to wait for it.
        if action.status in OPEN and not action.is_async:
            return


def _places(run: Run, status: ActionStatus) -> tuple[int, ...]:
    return tuple(index for index, action in enumerate(run.actions) if action.status == status)


def _with(run: Run, changes: Mapping[int, tuple[ActionStatus, str]]) -> Run:
    actions = list(run.actions)
    for index, (status, code) in changes.items():
        actions[index] = replace(actions[index], status=status, code=code)
    return replace(run, actions=tuple(actions))
