"""Edits of an item's fields that do not touch its status (WI-5): a path of its own beside the state machine. Pure.

An edit is a mapping of field to new value; a field that is absent stays, one that is None is cleared. No history row
is written. Texts never reach the event: it names the changed fields and carries the values of the coded ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain.work_items import refusals
from domain.work_items.decisions import Numbered
from domain.work_items.item import WorkItem
from domain.work_items.transitions import MAY_EDIT
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.models import Payload
from schemas.work_items import Coupling, WorkItemAssigned, WorkItemFieldsChanged

TEXTS = ("title", "description", "note", "follower_ids")
CODES = ("priority", "process", "request_type", "activity_area", "business_group", "scope", "due_at", "assignee_id")
EDITABLE = TEXTS + CODES
# Fields that an item always has: None is no edit of them.
REQUIRED = ("title", "priority", "follower_ids")


@dataclass(frozen=True, slots=True)
class Edited:
    """The item before and after, the changed fields with their values, and the events. No events: nothing changed."""

    before: WorkItem
    after: WorkItem
    changes: Mapping[str, Any]
    events: tuple[Numbered, ...]


def decide_edit(
    item: WorkItem | None,
    work_item_id: str,
    changes: Mapping[str, Any],
    caller: Caller,
    now: datetime,
    *,
    coupling: Coupling,
    expected_version: int | None = None,
    assignee_active: bool | None = None,
) -> Edited | Rejected:
    """The edit's outcome. `coupling` is that of the process in `changes`; it counts while the item is a draft.

    Raises ValueError for a field that is not editable: the door's model lists them.
    """
    unknown = [name for name in changes if name not in EDITABLE]
    if unknown:
        raise ValueError(f"edit work item {work_item_id}: {unknown} are no editable fields; use {', '.join(EDITABLE)}")
    if MAY_EDIT.isdisjoint(caller.roles):
        return refusals.denied("Edit")
    if item is None:
        return refusals.not_found(work_item_id, "Edit")
    changed = _really_changed(item, changes)
    refusal = _refuse(item, changed, expected_version, assignee_active)
    if refusal is not None:
        return refusal
    if not changed:
        return Edited(item, item, {}, ())
    at = max(now, item.last_action_at)
    codes = {name: value for name, value in changed.items() if name in CODES}
    after = replace(item, **codes, coupling=coupling if "process" in changed else item.coupling, version=item.version + 1)
    told = _events(item, after, changed, caller, at)
    events = tuple(Numbered(item.event_sequence + n, payload) for n, payload in enumerate(told, start=1))
    return Edited(item, replace(after, event_sequence=item.event_sequence + len(events)), changed, events)


def _really_changed(item: WorkItem, changes: Mapping[str, Any]) -> dict[str, Any]:
    # Texts are not loaded, so a named one counts as changed.
    given = {name: value for name, value in changes.items() if value is not None or name not in REQUIRED}
    return {name: value for name, value in given.items() if name in TEXTS or value != getattr(item, name)}


def _refuse(item: WorkItem, changed: Mapping[str, Any], expected: int | None, active: bool | None) -> Rejected | None:
    if expected is not None and expected != item.version:
        return refusals.stale_version(item, expected)
    if changed and item.status == "archived":
        return refusals.archived(item)
    if "process" in changed and item.status != "draft":
        return refusals.process_fixed(item)
    return refusals.wrong_assignee(changed.get("assignee_id"), active, item, "Edit")


def _events(before: WorkItem, after: WorkItem, changed: Mapping[str, Any], caller: Caller, at: datetime) -> list[Payload]:
    common: dict[str, Any] = {
        "work_item_id": after.id,
        "version": after.version,
        "cycle": after.cycle,
        "changed_by": caller.user_id,
        "changed_at": at,
        "source": caller.source,
    }
    told: list[Payload] = []
    fields = tuple(name for name in EDITABLE if name in changed and name != "assignee_id")
    if fields:
        values = {name: changed[name] for name in fields if name in CODES}
        told.append(WorkItemFieldsChanged(**common, **values, changed_fields=fields))
    if before.assignee_id != after.assignee_id:
        told.append(WorkItemAssigned(**common, old_assignee_id=before.assignee_id, new_assignee_id=after.assignee_id))
    return told
