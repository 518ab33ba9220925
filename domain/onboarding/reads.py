"""What screens and commands read of instances: one, lists, timelines, replays. Never locks, changes or opens anything."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal, get_args

from domain.onboarding.folded import from_json
from domain.onboarding.history import Recorded, read_cause
from domain.onboarding.instance import Instance
from runtime.sql import Connection, load_queries
from schemas.errors import NotFound
from schemas.workflow_events import EVENTS, Status

queries = load_queries(Path(__file__).with_name("reads.sql"))

Lane = Literal["user", "system", "timer", "effect", "compensation"]
Row = dict[str, Any]
STATUSES: list[str] = list(get_args(Status))
_PAGE = 1_000
_ENDLESS = 2**63 - 1
_LANES: dict[str, Lane] = {
    "STEP_STARTED": "effect",
    "STEP_COMPLETED": "effect",
    "STEP_FAILED": "effect",
    "STEP_LATE_OUTCOME": "effect",
    "STEP_TIMED_OUT": "timer",
    "STEP_RETRY_SCHEDULED": "timer",
    "REMINDER_SENT": "timer",
    "SLA_EXPIRED": "timer",
    "SAGA_COMPENSATION": "compensation",
    "WORKFLOW_STARTED": "user",
    "CANCEL_REQUESTED": "user",
    "REVIEW_DECIDED": "user",
    "INCIDENT_RESOLVED": "user",
}


async def get_instance(conn: Connection, tenant_id: str, instance_id: str) -> Row:
    """Everything of one instance but its folded text. Raises NotFound, for a foreign tenant's instance too."""
    row = await queries.find_instance(conn, tenant_id=tenant_id, id=instance_id)
    if row is None:
        raise NotFound(f"Instance {instance_id} not found")
    return dict(row)


async def get_folded(conn: Connection, tenant_id: str, instance_id: str) -> Instance:
    """The instance as decisions see it. Raises NotFound."""
    folded = await queries.find_folded(conn, tenant_id=tenant_id, id=instance_id)
    if folded is None:
        raise NotFound(f"Instance {instance_id} not found")
    return from_json(folded.encode())


async def list_instances(
    conn: Connection, tenant_id: str, *, status: str | None = None, user_id: str | None = None, skipped: int = 0, size: int
) -> list[Row]:
    """Instances of the tenant, newest first (WF-15)."""
    named = {"statuses": STATUSES if status is None else [status], "size": size, "skipped": skipped}
    if user_id is not None:
        rows = await queries.list_instances_of(conn, tenant_id=tenant_id, user_id=user_id, **named)
    else:
        rows = await queries.list_instances(conn, tenant_id=tenant_id, most=skipped + size, **named)
    return [dict(row) for row in rows]


async def list_attempts(conn: Connection, tenant_id: str, instance_id: str, *, most: int = 1_000) -> list[Row]:
    """Attempts of steps, in order; of very many the latest."""
    return [dict(row) for row in await queries.list_attempts(conn, tenant_id=tenant_id, id=instance_id, most=most)]


async def timeline(
    conn: Connection, tenant_id: str, instance_id: str, *, after: int | None = None, size: int = 100, newest: bool = False
) -> list[Row]:
    """A page of the history for people: number, time, lane, type and what the event says without a person's words.

    `after`: the last number that was seen, in the page's direction.
    """
    named = {"tenant_id": tenant_id, "id": instance_id, "size": size}
    if newest:
        rows = await queries.list_newest_events(conn, **named, before=_ENDLESS if after is None else after)
    else:
        rows = await queries.list_events(conn, **named, after=after or 0)
    return [
        {
            "number": row["sequence_number"],
            "at": row["created_at"],
            "lane": lane_of(row["event_type"], payload := json.loads(row["payload"])),
            "type": row["event_type"],
            "says": {name: value for name, value in payload.items() if name != "at"},
        }
        for row in rows
    ]


async def get_said(conn: Connection, tenant_id: str, instance_id: str, number: int) -> Row:
    """One event with its sealed words. Raises NotFound."""
    row = await queries.find_said(conn, tenant_id=tenant_id, id=instance_id, number=number)
    if row is None:
        raise NotFound(f"Event {number} of instance {instance_id} not found")
    return dict(row)


async def find_case(conn: Connection, tenant_id: str, instance_id: str) -> Row | None:
    """The sealed case of an instance; None: nothing was said yet."""
    row = await queries.find_case(conn, tenant_id=tenant_id, id=instance_id)
    return None if row is None else dict(row)


def lane_of(event_type: str, payload: Row) -> Lane:
    """Who made it happen."""
    if event_type == "ACTION_ACCEPTED":
        return "system" if payload.get("actor") == "SYSTEM" else "user"
    if event_type.startswith("STEP_") and payload.get("undoes") is not None:
        return "compensation"
    return _LANES.get(event_type, "system")


async def history(conn: Connection, tenant_id: str, instance_id: str) -> AsyncIterator[Recorded]:
    """The whole history as replay reads it, page by page, without what persons said."""
    after = 0
    while rows := await queries.list_events(conn, tenant_id=tenant_id, id=instance_id, after=after, size=_PAGE):
        for row in rows:
            event = EVENTS[row["event_type"]].model_validate_json(row["payload"])
            cause = read_cause(json.loads(row["cause"])) if row["cause"] else None
            yield Recorded(row["sequence_number"], event, cause)
        after = rows[-1]["sequence_number"]
