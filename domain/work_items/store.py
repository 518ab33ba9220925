"""The store of work items: loads under a lock in one order, writes decided items with their history in array statements.

Single is a batch of one. Never begins or commits, never decides. A reopened item whose instance was recorded under an
older cycle is quiet until the engine speaks again: coupling compares pairs of one cycle only.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any
from uuid import UUID

from domain.work_items.editing import EDITABLE
from domain.work_items.item import Step, WorkItem
from runtime.sql import Connection, load_queries
from schemas.errors import ConcurrencyConflict
from schemas.onboarding import InstanceStatusChanged
from schemas.work_items import CreateWorkItem, Source

queries = load_queries(Path(__file__).with_name("store.sql"))

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """A locked item, whether the assignee that was asked about is active (None: unknown), and the database's time."""

    item: WorkItem
    assignee_active: bool | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """What one transaction does to one item. `loaded` is None for a new item, whose texts are in `created`."""

    loaded: WorkItem | None
    item: WorkItem
    steps: tuple[Step, ...]
    created: CreateWorkItem | None = None


def canonical_id(work_item_id: str) -> str | None:
    """The one spelling of an id; None when it is no UUID, so that no item can have it."""
    try:
        return str(UUID(work_item_id))
    except ValueError:
        return None


async def lock_items(conn: Connection, wanted: Iterable[tuple[str, str, str | None]]) -> dict[Key, Found]:
    """The wanted (tenant, canonical id, assignee asked about) that exist, locked until the transaction ends."""
    rows = list(wanted)
    if not rows:
        return {}
    records = await queries.lock_work_items(
        conn, tenant_ids=[row[0] for row in rows], ids=[row[1] for row in rows], assignee_ids=[row[2] for row in rows]
    )
    found = (Found(WorkItem(*_item_of(record)), record["assignee_active"], record["now"]) for record in records)
    return {(entry.item.tenant_id, entry.item.id): entry for entry in found}


async def write_items(conn: Connection, written: Sequence[Written]) -> None:
    """Insert what is new, update what was loaded, and append the history of both.

    Raises ConcurrencyConflict when an id was taken or a version moved since the load; the caller rolls back.
    """
    await _insert(conn, [entry for entry in written if entry.loaded is None])
    await _update(conn, [entry for entry in written if entry.loaded is not None])


async def write_fields(conn: Connection, loaded: WorkItem, item: WorkItem, changes: Mapping[str, Any], by_user: str) -> None:
    """Write the named fields of one item. Raises ConcurrencyConflict when its version moved since the load."""
    version = await queries.update_fields(
        conn,
        tenant_id=item.tenant_id,
        id=item.id,
        loaded=loaded.version,
        fields=list(changes),
        **{name: changes.get(name) for name in EDITABLE},
        coupling=item.coupling,
        event_sequence=item.event_sequence,
        updated_by=by_user,
    )
    if version is None:
        raise ConcurrencyConflict(loaded.version, "a newer one")


async def write_comment(
    conn: Connection, tenant_id: str, work_item_id: str, comment_id: UUID, body: str, by_user: str, source: Source
) -> Any:
    """Insert a comment; its record, or None when the tenant has no such item."""
    return await queries.insert_comment(
        conn, tenant_id=tenant_id, id=work_item_id, comment_id=comment_id, body=body, by_user=by_user, source=source
    )


async def record_instances(conn: Connection, seen: Sequence[tuple[str, str, InstanceStatusChanged]]) -> None:
    """Remember the newest word of each (tenant, item, instance)."""
    newest: dict[tuple[str, str, str], InstanceStatusChanged] = {}
    for tenant_id, item_id, event in seen:
        known = newest.get((tenant_id, item_id, event.instance_id))
        if known is None or known.cycle <= event.cycle:
            newest[tenant_id, item_id, event.instance_id] = event
    if newest:
        await queries.record_instances(
            conn,
            tenant_ids=[tenant for tenant, _, _ in newest],
            ids=[item for _, item, _ in newest],
            instance_ids=[instance for _, _, instance in newest],
            statuses=[event.status for event in newest.values()],
            cycles=[event.cycle for event in newest.values()],
        )


async def _insert(conn: Connection, new: Sequence[Written]) -> None:
    if not new:
        return
    texts = [entry.created for entry in new]
    count = await queries.insert_work_items(
        conn,
        **_columns(_INSERTED, [entry.item for entry in new]),
        **_columns(_TEXTS, texts),
        follower_ids=[json.dumps(text.follower_ids if text else ()) for text in texts],
        sources=[entry.steps[0].source for entry in new],
        created_by=[entry.steps[0].by_user for entry in new],
        updated_by=[entry.steps[-1].by_user for entry in new],
        **_history(new),
    )
    if count != len(new):
        raise ConcurrencyConflict("no such work item yet", "one that somebody else just created")


async def _update(conn: Connection, moved: Sequence[Written]) -> None:
    if not moved:
        return
    count = await queries.update_work_items(
        conn,
        **_columns(_UPDATED, [entry.item for entry in moved]),
        loaded=[entry.loaded.version for entry in moved if entry.loaded],
        updated_by=[entry.steps[-1].by_user for entry in moved],
        **_history(moved),
    )
    if count != len(moved):
        raise ConcurrencyConflict([entry.loaded.version for entry in moved if entry.loaded], "a newer one")


def _history(written: Sequence[Written]) -> dict[str, list[Any]]:
    steps = [(entry.item, step) for entry in written for step in entry.steps]
    return {
        "step_tenant_ids": [item.tenant_id for item, _ in steps],
        "step_ids": [item.id for item, _ in steps],
        **_columns(_STEP, [step for _, step in steps]),
    }


def _columns(names: Mapping[str, Any], rows: Sequence[Any]) -> dict[str, list[Any]]:
    return {column: [read(row) for row in rows] for column, read in names.items()}


def _item_of(record: Any) -> tuple[Any, ...]:
    return tuple(record)[: len(WorkItem.__slots__)]


_UPDATED = {
    "tenant_ids": attrgetter("tenant_id"),
    "ids": attrgetter("id"),
    "statuses": attrgetter("status"),
    "versions": attrgetter("version"),
    "event_sequences": attrgetter("event_sequence"),
    "history_lengths": attrgetter("history_length"),
    "cycles": attrgetter("cycle"),
    "assignee_ids": attrgetter("assignee_id"),
    "last_action_at": attrgetter("last_action_at"),
    "closed_at": attrgetter("closed_at"),
}
_INSERTED = _UPDATED | {
    "couplings": attrgetter("coupling"),
    "request_types": attrgetter("request_type"),
    "activity_areas": attrgetter("activity_area"),
    "business_groups": attrgetter("business_group"),
    "processes": attrgetter("process"),
    "priorities": attrgetter("priority"),
    "scopes": attrgetter("scope"),
    "due_at": attrgetter("due_at"),
    "occurred_at": attrgetter("occurred_at"),
}
_TEXTS = {"titles": attrgetter("title"), "descriptions": attrgetter("description"), "notes": attrgetter("note")}
_STEP = {
    "step_positions": attrgetter("position"),
    "step_from": attrgetter("from_status"),
    "step_to": attrgetter("to_status"),
    "step_actions": attrgetter("action"),
    "step_by": attrgetter("by_user"),
    "step_assignees": attrgetter("assignee_id"),
    "step_notes": attrgetter("note"),
    "step_sources": attrgetter("source"),
    "step_at": attrgetter("occurred_at"),
}
