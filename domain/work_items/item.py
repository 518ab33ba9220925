"""A work item as decisions see it, and the fold of its history: `begin`, then `evolve` with every step."""

from dataclasses import dataclass, replace
from datetime import datetime

from domain.work_items.transitions import CLOSING
from schemas.work_items import Action, Coupling, CreateWorkItem, Priority, Source, Status


@dataclass(frozen=True, slots=True)
class WorkItem:
    """What decisions know of an item: no free text. `version` counts changes, `event_sequence` events, `cycle` reopenings."""

    tenant_id: str
    id: str
    status: Status
    version: int
    event_sequence: int
    history_length: int
    cycle: int
    coupling: Coupling
    priority: Priority
    process: str | None
    request_type: str | None
    activity_area: str | None
    business_group: str | None
    scope: str | None
    due_at: datetime | None
    assignee_id: str | None
    occurred_at: datetime
    last_action_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the state history. `assignee_id` is who holds the item afterwards."""

    position: int
    from_status: Status | None
    to_status: Status
    action: Action
    by_user: str
    source: Source
    assignee_id: str | None
    note: str | None
    occurred_at: datetime


def begin(command: CreateWorkItem, tenant_id: str, coupling: Coupling, at: datetime) -> WorkItem:
    """The item before its first step: nothing has happened to it yet."""
    return WorkItem(
        tenant_id=tenant_id,
        id=command.work_item_id,
        status="draft",
        version=0,
        event_sequence=0,
        history_length=0,
        cycle=0,
        coupling=coupling,
        priority=command.priority,
        process=command.process,
        request_type=command.request_type,
        activity_area=command.activity_area,
        business_group=command.business_group,
        scope=command.scope,
        due_at=command.due_at,
        assignee_id=command.assignee_id,
        occurred_at=at,
        last_action_at=at,
        closed_at=None,
    )


def evolve(item: WorkItem, step: Step) -> WorkItem:
    """The item after one more row of history. Reopen begins a new cycle; closed_at follows the status (traps 45, 50)."""
    return replace(
        item,
        status=step.to_status,
        version=item.version + 1,
        history_length=step.position,
        cycle=item.cycle + (step.action == "Reopen"),
        assignee_id=step.assignee_id,
        last_action_at=step.occurred_at,
        closed_at=_closed_at(item, step),
    )


def _closed_at(item: WorkItem, step: Step) -> datetime | None:
    if step.to_status in CLOSING:
        return step.occurred_at
    return item.closed_at if step.to_status == "archived" else None
