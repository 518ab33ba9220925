"""`work_item_board`: one plain row per work item, folded from its events (P6).

`fold` is pure and total: the same events in the same order give the same row, whether live or from the first offset.
Business time only (`changedAt`), never processing time.
"""

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from processors.shell import AppliedSequences, Decided, Message
from runtime.sql import Connection, load_queries
from schemas.models import Payload
from schemas.registry import projection_group
from schemas.work_items import (
    WorkItemAssigned,
    WorkItemCreated,
    WorkItemDraftSaved,
    WorkItemFieldsChanged,
    WorkItemStatusChanged,
)

TOPICS = ("work-items.events.v1",)
ENDED = frozenset({"closed", "canceled", "rejected"})
TIMED = frozenset({"draft", "open", "in_progress", "waiting_internal", "waiting_customer", "waiting_external", "resolved"})
CODED = ("priority", "request_type", "activity_area", "business_group", "process", "scope", "due_at")

BoardEvent = WorkItemDraftSaved | WorkItemCreated | WorkItemStatusChanged | WorkItemAssigned | WorkItemFieldsChanged


class BoardRow(NamedTuple):
    """A row of the table, its columns in the table's order."""

    tenant_id: str
    work_item_id: str
    status: str
    priority: str | None
    assignee_id: str | None
    request_type: str | None
    activity_area: str | None
    business_group: str | None
    process: str | None
    scope: str | None
    due_at: datetime | None
    drafted_at: datetime | None
    opened_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None
    reopen_count: int
    assignment_count: int
    status_since: datetime
    seconds_draft: float
    seconds_open: float
    seconds_in_progress: float
    seconds_waiting_internal: float
    seconds_waiting_customer: float
    seconds_waiting_external: float
    seconds_resolved: float
    last_change_at: datetime
    version: int
    ce_source: str
    ce_sequence: int


_COUNTED = {name: 0 for name in BoardRow._fields if name.startswith("seconds_") or name.endswith("_count")}
_BLANK = BoardRow(**dict.fromkeys(BoardRow._fields) | _COUNTED)  # type: ignore[arg-type]  # filled by `_first`


def fold(row: BoardRow | None, event: BoardEvent, tenant_id: str) -> BoardRow:
    """The row after the event. A row that begins in the middle of a history starts with what the event says."""
    row = row or _first(event, tenant_id)
    row = row._replace(last_change_at=event.changed_at, version=event.version)
    match event:
        case WorkItemDraftSaved():
            return _created(row, event)
        case WorkItemStatusChanged():
            return _moved(row, event)
        case WorkItemAssigned():
            return row._replace(assignee_id=event.new_assignee_id, assignment_count=row.assignment_count + 1)
        case WorkItemFieldsChanged():
            return row._replace(**{name: getattr(event, name) for name in CODED if name in event.changed_fields})


def _first(event: BoardEvent, tenant_id: str) -> BoardRow:
    status = event.old_status if isinstance(event, WorkItemStatusChanged) else "draft"
    return _BLANK._replace(tenant_id=tenant_id, work_item_id=event.work_item_id, status=status, status_since=event.changed_at)


def _created(row: BoardRow, event: WorkItemDraftSaved) -> BoardRow:
    values = {name: getattr(event, name) for name in (*CODED, "assignee_id")}
    return row._replace(**values, drafted_at=row.drafted_at or event.changed_at)


def _moved(row: BoardRow, event: WorkItemStatusChanged) -> BoardRow:
    at, status = event.changed_at, event.new_status
    if row.status in TIMED:
        stay = f"seconds_{row.status}"
        row = row._replace(**{stay: getattr(row, stay) + max(0.0, (at - row.status_since).total_seconds())})
    return row._replace(
        status=status,
        status_since=at,
        opened_at=row.opened_at or (at if status == "open" else None),
        resolved_at=at if status == "resolved" else None if event.action == "Reopen" else row.resolved_at,
        closed_at=at if status in ENDED else None if event.action == "Reopen" else row.closed_at,
        reopen_count=row.reopen_count + (event.action == "Reopen"),
    )


class WorkItemBoard:
    """The consumer of one table version."""

    latest_wins = False
    interests: Mapping[str, type[Payload]] = {
        model.TYPE: model
        for model in (WorkItemDraftSaved, WorkItemCreated, WorkItemStatusChanged, WorkItemAssigned, WorkItemFieldsChanged)
    }

    def __init__(self, version: int) -> None:
        self.group = projection_group("work_item_board", version, TOPICS)
        self.sequences = AppliedSequences()
        self.queries = load_queries(__file__, rename={"work_item_board__v1": f"work_item_board__v{version}"})

    def key(self, message: Message) -> Hashable:
        return message.event.tenant, message.event.subject

    async def load(self, conn: Connection, messages: Sequence[Message]) -> dict[Any, BoardRow]:
        keys = sorted({(message.event.tenant, message.event.subject or "") for message in messages})
        rows = await self.queries.lock_rows(
            conn, tenant_ids=[tenant for tenant, _ in keys], work_item_ids=[item for _, item in keys]
        )
        return {(row["tenant_id"], row["work_item_id"]): BoardRow(*row.values()) for row in rows}

    def decide(self, state: BoardRow | None, message: Message, now: datetime) -> Decided[BoardRow, None]:
        event: BoardEvent = message.payload  # type: ignore[assignment]  # the shell parsed it with `interests`
        row = fold(state, event, message.event.tenant)
        return Decided(row._replace(ce_source=message.event.source, ce_sequence=message.event.sequence or 0))

    async def save(self, conn: Connection, states: Mapping[Any, BoardRow], outputs: Sequence[None], now: datetime) -> None:
        await self.queries.upsert_rows(conn, rows=list(states.values()))
