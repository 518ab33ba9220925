"""Every "no" of the state machine: the documents' code (S3 13.4), a sentence, and what the caller may do instead.

`details` of every refusal about a known item: `action`, `status`, `version`, `allowedNextActions`. Texts name ids and
codes, never what a person wrote.
"""

from datetime import datetime
from typing import Literal

from domain.work_items.item import WorkItem
from domain.work_items.transitions import INTERNAL_ACTIONS, UI_ACTIONS, allowed_next_actions
from schemas.errors import Rejected
from schemas.work_items import Action, ApplyAction

Edit = Literal["Edit", "Comment", "Read"]


def invalid_action(command: ApplyAction, item: WorkItem | None) -> Rejected:
    """Unknown, or internal from outside (trap 48)."""
    name = command.action
    internal = name in INTERNAL_ACTIONS
    why = "it is internal" if internal else "there is no such action; names match exactly"
    told = name if internal else repr(name[:40])
    message = f"apply {told} to work item {command.work_item_id}: {why}; send one of {', '.join(UI_ACTIONS)}"
    # An unknown action may hold anything: only a name of ours is repeated in an event.
    return _about(item, name if internal else "unknown", "InvalidAction", message)


def denied(action: Action | Edit, item: WorkItem | None = None) -> Rejected:
    return _about(
        item, action, "PermissionDenied", f"{action} a work item: none of the caller's roles may; ask for one that may"
    )


def unknown_tenant(tenant_id: str) -> Rejected:
    return Rejected(
        "UnknownTenant", f"create a work item: no active tenant {tenant_id}; import the tenant first", {"action": "Create"}
    )


def malformed_id(work_item_id: str) -> Rejected:
    return Rejected("InvalidWorkItemId", f"create work item {work_item_id[:80]!r}: the id must be a UUID", {"action": "Create"})


def not_found(work_item_id: str, action: Action | Edit) -> Rejected:
    return Rejected("WorkItemNotFound", f"Work item {work_item_id} not found", {"action": action})


def exists(item: WorkItem) -> Rejected:
    return _about(
        item, "Create", "ConflictState", f"create work item {item.id}: it exists already; act on it, or send another id"
    )


def newer_cycle(item: WorkItem, cycle: int, action: Action) -> Rejected:
    return _about(item, action, "ConflictState", f"work item {item.id} is in cycle {item.cycle}, the message speaks of {cycle}")


def stale(item: WorkItem, command: ApplyAction, action: Action) -> Rejected | None:
    """The caller saw another status or version than the item has now (trap 56)."""
    if command.expected_status is not None and command.expected_status != item.status:
        expected = f"status {command.expected_status[:50]!r}"
    elif command.expected_version is not None and command.expected_version != item.version:
        expected = f"version {command.expected_version}"
    else:
        return None
    found = f"found {item.status} in version {item.version}; read it again and repeat"
    return _about(item, action, "ConflictState", f"{action} work item {item.id}: expected {expected}, {found}")


def invalid_transition(item: WorkItem, action: Action) -> Rejected:
    return _about(item, action, "InvalidTransition", f"Action {action} is not allowed from status {item.status}")


def wrong_assignee(user_id: str | None, active: bool | None, item: WorkItem | None, action: Action | Edit) -> Rejected | None:
    """The assignee of an Assign is missing, or the directory does not know the named one, or he is inactive."""
    if user_id is None:
        if action != "Assign":
            return None
        return _about(item, action, "AssigneeRequired", "Assign needs newAssigneeId: name an active user")
    if active is None:
        return _about(item, action, "UnknownAssignee", f"user {user_id} is not in the directory; import him or name another")
    if not active:
        return _about(item, action, "InactiveAssignee", f"user {user_id} is inactive; name an active one")
    return None


def wrong_time(at: datetime | None, item: WorkItem | None, may: bool, now: datetime, action: Action) -> Rejected | None:
    """`occurredAt` is for imports, never before what happened last, never in the future."""
    if at is None:
        return None
    if not may:
        why = "only the import role may date an action"
    elif at > now:
        why = "it lies in the future"
    elif item is not None and at < item.last_action_at:
        why = f"the item's last action was at {item.last_action_at.isoformat()}"
    else:
        return None
    return _about(item, action, "OccurredAtRefused", f"occurredAt {at.isoformat()}: {why}")


def archived(item: WorkItem) -> Rejected:
    return _about(item, "Edit", "ConflictState", f"edit work item {item.id}: it is archived and stays as it is")


def process_fixed(item: WorkItem) -> Rejected:
    text = f"edit work item {item.id}: its process was started when it was sent; only a draft can change it"
    return _about(item, "Edit", "ConflictState", text)


def stale_version(item: WorkItem, expected: int) -> Rejected:
    text = f"edit work item {item.id}: expected version {expected}, found {item.version}; read it again and repeat"
    return _about(item, "Edit", "ConflictState", text)


def _about(item: WorkItem | None, action: str, code: str, message: str) -> Rejected:
    details: dict[str, object] = {"action": action}
    if item is not None:
        details |= {"status": item.status, "version": item.version, "allowedNextActions": allowed_next_actions(item.status)}
    return Rejected(code, message, details)
