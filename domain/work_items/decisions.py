"""What happens to a work item when it is created or acted upon: pure functions from state and command to a value.

The triple: a new item (`begin`), `evolve(item, step)`, and the deciders here. A `Step` is a row of the state history, the
item is the fold of its steps, and events are derived from each step, one sequence number per event. No clock, no
random, no I/O: the time, and whether the wanted assignee is active, are arguments. A "no" is a `Rejected`.

Order of checks, the same at both doors: InvalidAction, PermissionDenied, WorkItemNotFound, a closing of an older cycle
(nothing happens), ConflictState, a quiet no-op, InvalidTransition, AssigneeRequired, UnknownAssignee, InactiveAssignee,
OccurredAtRefused, the same assignee again (nothing happens). So a stale caller learns that it is stale before it
learns that its action is illegal, and nobody without the right learns whether an item exists.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from domain.work_items import refusals
from domain.work_items.events import events_of
from domain.work_items.item import Step, WorkItem, begin, evolve
from domain.work_items.transitions import (
    ACTIONS,
    INTERNAL_ACTIONS,
    MAY_BACKDATE,
    MAY_READ,
    QUIET,
    STATUS_LABELS,
    allowed_next_actions,
    next_status,
    permits,
)
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.models import Payload
from schemas.onboarding import InstanceStatusChanged
from schemas.work_items import Action, ApplyAction, Coupling, CreateWorkItem, Status

__all__ = [
    "ActionResult",
    "Decided",
    "InstanceSeen",
    "Numbered",
    "Outcome",
    "Step",
    "Unchanged",
    "WorkItem",
    "decide_action",
    "decide_create",
    "decide_instance",
    "evolve",
    "result_of",
]


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event and its number among the item's events."""

    sequence: int
    payload: Payload


@dataclass(frozen=True, slots=True)
class Decided:
    """Yes: the item before (None: it is new) and after, the history rows and the events that tell of it."""

    action: Action
    before: WorkItem | None
    after: WorkItem
    steps: tuple[Step, ...]
    events: tuple[Numbered, ...]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Yes, and nothing happens: no history, no event. `reason` is for the log."""

    action: Action
    item: WorkItem
    reason: str


Outcome = Decided | Unchanged | Rejected


@dataclass(frozen=True, slots=True)
class InstanceSeen:
    """An instance's news of a known item, to be recorded, and what it does to the item."""

    event: InstanceStatusChanged
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ActionResult:
    """The reply of WI-3, the same at every door."""

    work_item_id: str
    old_status: Status
    new_status: Status
    status_changed: bool
    display_status: str
    allowed_next_actions: tuple[Action, ...]
    version: int
    cycle: int


def result_of(outcome: Decided | Unchanged) -> ActionResult:
    """What the caller is told. A new item counts as changed, from draft."""
    if isinstance(outcome, Unchanged):
        return _result(outcome.item, outcome.item.status, changed=False)
    if outcome.before is None:
        return _result(outcome.after, "draft", changed=True)
    return _result(outcome.after, outcome.before.status, changed=outcome.before.status != outcome.after.status)


def decide_create(
    existing: WorkItem | None,
    command: CreateWorkItem,
    caller: Caller,
    now: datetime,
    *,
    coupling: Coupling,
    tenant_active: bool = True,
    assignee_active: bool | None = None,
) -> Outcome:
    """A new item: Create leaves a draft, Submit follows unless the caller saves a draft (WI-4, trap 59).

    `assignee_active` is None when the directory does not know the wanted assignee.
    """
    if not permits(caller.roles, "Create"):
        return refusals.denied("Create")
    if not tenant_active:
        return refusals.unknown_tenant(caller.tenant_id)
    if existing is not None:
        return refusals.exists(existing)
    refusal = refusals.wrong_assignee(command.assignee_id, assignee_active, None, "Create") or refusals.wrong_time(
        command.occurred_at, None, _may_backdate(caller), now, "Create"
    )
    if refusal is not None:
        return refusal
    at = command.occurred_at or now
    actions: tuple[Action, ...] = ("Create",) if command.draft else ("Create", "Submit")
    # The note of the create screen is a field of the item, not the history's.
    return _take(begin(command, caller.tenant_id, coupling, at), actions, command.assignee_id, caller, at, None)


def decide_action(
    item: WorkItem | None,
    command: ApplyAction,
    caller: Caller,
    now: datetime,
    *,
    assignee_active: bool | None = None,
) -> Outcome:
    """What the action does (WI-1, WI-2). `assignee_active` is None when the directory does not know `newAssigneeId`."""
    action = _known_action(command.action, caller)
    shown = item if not MAY_READ.isdisjoint(caller.roles) else None
    if action is None:
        return refusals.invalid_action(command, shown)
    if not permits(caller.roles, action):
        return refusals.denied(action, shown)
    if item is None:
        return refusals.not_found(command.work_item_id, action)
    quiet = _quiet_cycle(item, command, action)
    refusal = None if quiet else refusals.stale(item, command, action)
    if quiet or refusal is not None:
        return refusal or Unchanged(action, item, quiet)
    if item.status in QUIET.get(action, frozenset()):
        return Unchanged(action, item, f"the item is {item.status} already")
    if next_status(action, item.status) is None:
        return refusals.invalid_transition(item, action)
    refusal = refusals.wrong_assignee(command.new_assignee_id, assignee_active, item, action) or refusals.wrong_time(
        command.occurred_at, item, _may_backdate(caller), now, action
    )
    if refusal is not None:
        return refusal
    assignee = command.new_assignee_id or item.assignee_id
    if (next_status(action, item.status), assignee) == (item.status, item.assignee_id):
        return Unchanged(action, item, "the assignee is the same")
    # A writer that waited for the lock may hold an older statement time than the one it waited for.
    at = command.occurred_at or max(now, item.last_action_at)
    return _take(item, (action,), assignee, caller, at, command.note)


def decide_instance(
    item: WorkItem | None, event: InstanceStatusChanged, caller: Caller, now: datetime
) -> InstanceSeen | Rejected:
    """What an instance's news does to its item (WI-7): completed closes it, in the same cycle only (trap 51).

    News from outside is no news: whoever may not close an item for the workflow may not say that one runs behind it either.
    """
    close = ApplyAction(work_item_id=event.work_item_id or "(none)", action="AutoCloseFromWorkflow", cycle=event.cycle)
    if not caller.internal:
        return refusals.invalid_action(close, None)
    if item is None:
        return refusals.not_found(event.work_item_id or "(none)", "AutoCloseFromWorkflow")
    if event.cycle > item.cycle:
        return refusals.newer_cycle(item, event.cycle, "AutoCloseFromWorkflow")
    if event.status != "completed":
        return InstanceSeen(event, Unchanged("AutoCloseFromWorkflow", item, f"the instance is {event.status}"))
    return InstanceSeen(event, decide_action(item, close, caller, now))


def _known_action(name: str, caller: Caller) -> Action | None:
    # Names match exactly (trap 48). Create is a command of its own, no action of an item.
    if name not in ACTIONS or name == "Create":
        return None
    return None if name in INTERNAL_ACTIONS and not caller.internal else cast(Action, name)


def _quiet_cycle(item: WorkItem, command: ApplyAction, action: Action) -> str:
    # An instance that ended before the item was reopened must not close it again.
    if action != "AutoCloseFromWorkflow" or command.cycle is None or command.cycle >= item.cycle:
        return ""
    return f"cycle {command.cycle} is over, the item is in cycle {item.cycle}"


def _may_backdate(caller: Caller) -> bool:
    return not MAY_BACKDATE.isdisjoint(caller.roles)


def _take(
    item: WorkItem, actions: Sequence[Action], assignee: str | None, caller: Caller, at: datetime, note: str | None
) -> Decided:
    """Fold the actions, which were checked, into history rows and numbered events."""
    before = item if item.version else None
    steps: list[Step] = []
    events: list[Numbered] = []
    for action in actions:
        step = _step(item, action, assignee, caller, at, note)
        after = evolve(item, step)
        told = events_of(item, after, step, sent=len(actions) > 1)
        events += (Numbered(item.event_sequence + n, payload) for n, payload in enumerate(told, start=1))
        steps.append(step)
        item = replace(after, event_sequence=item.event_sequence + len(told))
    return Decided(actions[-1], before, item, tuple(steps), tuple(events))


def _step(item: WorkItem, action: Action, assignee: str | None, caller: Caller, at: datetime, note: str | None) -> Step:
    return Step(
        position=item.history_length + 1,
        from_status=None if action == "Create" else item.status,
        to_status=next_status(action, item.status) or "draft",
        action=action,
        by_user=caller.user_id,
        source=caller.source,
        assignee_id=assignee,
        note=note,
        occurred_at=at,
    )


def _result(item: WorkItem, old: Status, *, changed: bool) -> ActionResult:
    return ActionResult(
        work_item_id=item.id,
        old_status=old,
        new_status=item.status,
        status_changed=changed,
        display_status=STATUS_LABELS[item.status].vi,
        allowed_next_actions=allowed_next_actions(item.status),
        version=item.version,
        cycle=item.cycle,
    )
