"""The one service through which work items change (WI-1, trap 61), as the HTTP door calls it: one item at a time.

Each command takes a connection inside the caller's transaction, locks, decides, writes and tells the outbox; it never
begins, commits or retries, and calls no other service (trap 58). The Kafka door uses `batch`, which shares decisions,
store and events. A door commits also after a `Rejected`: it may have opened an incident.

Cost of an action: one locking select (which also looks the new assignee up), one statement for the item and its
history, one for the outbox. Of a creation: one look-up, one insert with history, one for the outbox.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from domain.directory.lookups import look_up
from domain.incidents import open_incidents
from domain.outbox import Outbox
from domain.work_items import refusals
from domain.work_items.alarms import alarm_of
from domain.work_items.decisions import Decided, Outcome, Unchanged, decide_action, decide_create
from domain.work_items.editing import Edited, decide_edit
from domain.work_items.publishing import numbered, told
from domain.work_items.store import Found, Written, canonical_id, lock_items, write_comment, write_fields, write_items
from domain.work_items.taxonomy import default_taxonomy
from domain.work_items.transitions import MAY_EDIT
from runtime.ids import uuid7
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.errors import ConcurrencyConflict, Rejected
from schemas.work_items import ApplyAction, CreateWorkItem

# Of an item that does not exist no decision asks the time.
_NO_TIME = datetime.min.replace(tzinfo=UTC)


async def create_work_item(conn: Connection, outbox: Outbox, caller: Caller, command: CreateWorkItem) -> Outcome:
    """Insert a new item (WI-4); `command.work_item_id` is a UUID that the door drew or the sender chose."""
    work_item_id = canonical_id(command.work_item_id)
    if work_item_id is None:
        return refusals.malformed_id(command.work_item_id)
    people, now = await look_up(conn, [(caller.tenant_id, command.assignee_id)])
    outcome = decide_create(
        None,
        command.model_copy(update={"work_item_id": work_item_id}),
        caller,
        now or _NO_TIME,
        coupling=default_taxonomy().coupling_of(command.process),
        tenant_active=caller.tenant_id in people.active_tenants,
        assignee_active=people.is_active(caller.tenant_id, command.assignee_id),
    )
    if isinstance(outcome, Decided):
        try:
            await write_items(conn, [Written(None, outcome.after, outcome.steps, command)])
        except ConcurrencyConflict:
            # The insert left the taken id alone, so the transaction is whole.
            taken = await _lock(conn, caller, work_item_id, None)
            return refusals.exists(taken.item) if taken else refusals.not_found(work_item_id, "Create")
        await outbox.append(conn, told(outcome, caller))
    return outcome


async def apply_action(conn: Connection, outbox: Outbox, caller: Caller, command: ApplyAction) -> Outcome:
    """Move one item through the state machine (WI-2). A foreign tenant's item is not found (trap 55)."""
    found = await _lock(conn, caller, command.work_item_id, command.new_assignee_id)
    if found is None:
        return decide_action(None, command, caller, _NO_TIME)
    outcome = decide_action(found.item, command, caller, found.now, assignee_active=found.assignee_active)
    match outcome:
        case Decided():
            await write_items(conn, [Written(found.item, outcome.after, outcome.steps)])
            await outbox.append(conn, told(outcome, caller))
        case Rejected():
            alarm = alarm_of(outcome, caller.tenant_id, found.item.id, of_instance=False)
            await open_incidents(conn, [alarm] if alarm else [])
        case Unchanged():
            pass
    return outcome


async def edit_fields(
    conn: Connection,
    outbox: Outbox,
    caller: Caller,
    work_item_id: str,
    changes: Mapping[str, Any],
    *,
    expected_version: int | None = None,
) -> Edited | Rejected:
    """Change fields without the state machine (WI-5): the names of `editing.EDITABLE`; None clears a field."""
    assignee = changes.get("assignee_id")
    found = await _lock(conn, caller, work_item_id, assignee)
    edited = decide_edit(
        found.item if found else None,
        work_item_id,
        changes,
        caller,
        found.now if found else _NO_TIME,
        coupling=default_taxonomy().coupling_of(changes.get("process")),
        expected_version=expected_version,
        assignee_active=found.assignee_active if found else None,
    )
    if isinstance(edited, Edited) and edited.events:
        await write_fields(conn, edited.before, edited.after, edited.changes, caller.user_id)
        at = max(found.now, edited.before.last_action_at) if found else _NO_TIME
        await outbox.append(conn, numbered(edited.events, edited.after.id, at, caller))
    return edited


async def add_comment(conn: Connection, caller: Caller, work_item_id: str, body: str) -> dict[str, Any] | Rejected:
    """Add a comment; it has no event, as it is free text. The row: comment_id, body, by_user, source, created_at."""
    if MAY_EDIT.isdisjoint(caller.roles):
        return refusals.denied("Comment")
    item_id = canonical_id(work_item_id)
    record = item_id and await write_comment(conn, caller.tenant_id, item_id, uuid7(), body, caller.user_id, caller.source)
    return dict(record) if record else refusals.not_found(work_item_id, "Comment")


async def _lock(conn: Connection, caller: Caller, work_item_id: str, assignee_id: str | None) -> Found | None:
    item_id = canonical_id(work_item_id)
    if item_id is None:
        return None
    return (await lock_items(conn, [(caller.tenant_id, item_id, assignee_id)])).get((caller.tenant_id, item_id))
