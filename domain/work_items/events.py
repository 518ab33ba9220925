"""What a step of an item's history tells the world: ids, codes and times only, never free text."""

from typing import Any

from domain.work_items.item import Step, WorkItem
from domain.work_items.transitions import notifies_workflow
from schemas.models import Payload
from schemas.work_items import WorkItemAssigned, WorkItemCreated, WorkItemDraftSaved, WorkItemStatusChanged


def events_of(before: WorkItem, after: WorkItem, step: Step, *, sent: bool) -> list[Payload]:
    """The events of one step, in order. A Create that is `sent` at once is told by its Submit, so that nobody sees a draft."""
    if step.action == "Create":
        return [] if sent else [WorkItemDraftSaved(**_common(after, step), **_codes(after))]
    told: list[Payload] = []
    if step.action == "Submit":
        told.append(WorkItemCreated(**_common(after, step), **_codes(after), coupling=after.coupling))
    if before.status != after.status:
        told.append(_status_changed(before, after, step))
    if before.assignee_id != after.assignee_id:
        told.append(_assigned(before, after, step))
    return told


def _assigned(before: WorkItem, after: WorkItem, step: Step) -> WorkItemAssigned:
    return WorkItemAssigned(**_common(after, step), old_assignee_id=before.assignee_id, new_assignee_id=after.assignee_id)


def _status_changed(before: WorkItem, after: WorkItem, step: Step) -> WorkItemStatusChanged:
    return WorkItemStatusChanged(
        **_common(after, step),
        old_status=before.status,
        new_status=after.status,
        action=step.action,
        notify_workflow=notifies_workflow(step.action, after.coupling, step.source),
        coupling=after.coupling,
        process=after.process,
    )


def _common(item: WorkItem, step: Step) -> dict[str, Any]:
    return {
        "work_item_id": item.id,
        "version": item.version,
        "cycle": item.cycle,
        "changed_by": step.by_user,
        "changed_at": step.occurred_at,
        "source": step.source,
    }


def _codes(item: WorkItem) -> dict[str, Any]:
    return {
        "priority": item.priority,
        "process": item.process,
        "request_type": item.request_type,
        "activity_area": item.activity_area,
        "business_group": item.business_group,
        "scope": item.scope,
        "due_at": item.due_at,
        "assignee_id": item.assignee_id,
    }
