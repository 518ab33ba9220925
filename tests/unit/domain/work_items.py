"""What the tests of work items begin with: callers, times, and an item in any status."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.work_items.item import WorkItem
from domain.work_items.transitions import ENDED
from schemas.caller import Caller
from schemas.work_items import ApplyAction, CreateWorkItem, Source, Status

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(days=1)
LATER = NOW + timedelta(seconds=1)
ID = "5b8b4de3-5f52-4b6a-9c71-1d9f5e8f5f11"


def caller(*roles: str, source: Source = "CRM_UI", internal: bool = False, tenant_id: str = "north") -> Caller:
    return Caller(tenant_id, "an", frozenset(roles or ("supervisor",)), source, internal)


def engine() -> Caller:
    return Caller("north", "system:workflow", frozenset({"engine"}), "WORKFLOW_ENGINE", internal=True)


def importer() -> Caller:
    return Caller("north", "system:import", frozenset({"import"}), "IMPORT")


def item(status: Status = "in_progress", **changed: Any) -> WorkItem:
    """An item in this status, last acted upon a day ago."""
    fields: dict[str, Any] = {
        "tenant_id": "north",
        "id": ID,
        "status": status,
        "version": 7,
        "event_sequence": 9,
        "history_length": 6,
        "cycle": 0,
        "coupling": "strong",
        "priority": "medium",
        "process": "general",
        "request_type": "request",
        "activity_area": None,
        "business_group": None,
        "scope": None,
        "due_at": None,
        "assignee_id": None if status in ("draft", "open") else "bo",
        "occurred_at": EARLIER,
        "last_action_at": EARLIER,
        "closed_at": EARLIER if status in ENDED else None,
    }
    return WorkItem(**(fields | changed))


def act(action: str, **fields: Any) -> ApplyAction:
    return ApplyAction(work_item_id=ID, action=action, **fields)


def create(**fields: Any) -> CreateWorkItem:
    return CreateWorkItem(**({"work_item_id": ID, "title": "A card is lost"} | fields))
