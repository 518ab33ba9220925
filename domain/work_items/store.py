"""The store of work items: loads under a lock in one order, writes decided items with their history, all in one statement.

Single is a batch of one. Never begins or commits, never decides. A reopened item whose instance was recorded under an
older cycle is quiet until the engine speaks again: coupling compares pairs of one cycle only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from domain.work_items.editing import EDITABLE
from domain.work_items.item import Step, WorkItem
from domain.work_items.related import write_relations
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
    tenants, ids, assignees = zip(*rows, strict=True)
    if len(rows) == 1:
        records = await queries.lock_work_item(conn, tenant_id=tenants[0], id=ids[0], assignee_id=assignees[0])
    else:
        records = await queries.lock_work_items(conn, tenant_ids=tenants, ids=ids, assignee_ids=assignees)
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
    rows = [_fields(_INSERTED, entry.item) | _fields(_TEXTS, entry.created) | _made(entry) for entry in new]
    if await queries.insert_work_items(conn, items=_json(rows), steps=_history(new)) != len(new):
        raise ConcurrencyConflict("no such work item yet", "one that somebody else just created")
    await write_relations(conn, [(entry.item.tenant_id, entry.created) for entry in new if entry.created is not None])


def _made(entry: Written) -> dict[str, Any]:
    first, last = entry.steps[0], entry.steps[-1]
    return {"source": first.source, "created_by": first.by_user, "updated_by": last.by_user}


async def _update(conn: Connection, moved: Sequence[Written]) -> None:
    if not moved:
        return
    rows = [_fields(_UPDATED, entry.item) | _since(entry) for entry in moved]
    if len(moved) == 1 and len(moved[0].steps) == 1:
        count = await queries.update_work_item(conn, **rows[0], **_fields(_CLICK, moved[0].steps[0]))
    else:
        count = await queries.update_work_items(conn, items=_json(rows), steps=_history(moved))
    if count != len(moved):
        raise ConcurrencyConflict([row["loaded"] for row in rows], "a newer one")


def _since(entry: Written) -> dict[str, Any]:
    assert entry.loaded is not None, "a new item is inserted"
    return {"loaded": entry.loaded.version, "updated_by": entry.steps[-1].by_user}


def _history(written: Sequence[Written]) -> str:
    return _json(
        [
            {"tenant_id": entry.item.tenant_id, "id": entry.item.id, **_fields(_STEP, step)}
            for entry in written
            for step in entry.steps
        ]
    )


def _fields(names: Sequence[str], row: object) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps(rows).decode()


def _item_of(record: Any) -> tuple[Any, ...]:
    return tuple(record)[: len(WorkItem.__slots__)]


# Columns by the names that they have in the value, in the statement and in the table.
_UPDATED = (
    *("tenant_id", "id", "status", "version", "event_sequence", "history_length", "cycle", "assignee_id"),
    *("last_action_at", "closed_at"),
)
_INSERTED = (
    *_UPDATED,
    *("coupling", "request_type", "activity_area", "business_group", "process", "priority", "scope", "due_at", "occurred_at"),
)
_TEXTS = ("title", "description", "note", "follower_ids")
_STEP = tuple(Step.__slots__)
# What one step adds to the item's own columns.
_CLICK = ("from_status", "action", "note", "source")
