"""What operators do with incidents: list, show, resolve, retry. Runs under the caller's tenants and transaction.

A retry handler belongs to a kind and is registered by the room that opens incidents of that kind; it does the work or
orders it, and its sentence says which. Retrying does not resolve: the trouble's end does, or a person.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from domain.audit import append
from runtime.sql import Connection, load_queries
from schemas.errors import NotFound, Rejected

queries = load_queries(Path(__file__).with_name("incidents.sql"))

IncidentRow = Mapping[str, Any]
RetryHandler = Callable[[Connection, IncidentRow, str], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class IncidentPage:
    """Rows with the columns of `incidents`, detail as a dict; `next` is the `after` of the following page."""

    rows: list[dict[str, Any]]
    next: tuple[datetime, UUID] | None


async def list_incidents(
    conn: Connection,
    *,
    tenant_id: str | None = None,
    state: str | None = "open",
    kind: str | None = None,
    after: tuple[datetime, UUID] | None = None,
    page_size: int = 50,
) -> IncidentPage:
    """Newest sighting first; without a tenant, of every tenant that the connection may see."""
    before_seen, before_id = after or (None, None)
    rows = await queries.list_incidents(
        conn,
        tenant_id=tenant_id,
        state=state,
        kind=kind,
        before_seen=before_seen,
        before_id=before_id,
        page_size=page_size + 1,
    )
    found = [_row(row) for row in rows[:page_size]]
    return IncidentPage(found, (found[-1]["last_seen"], found[-1]["incident_id"]) if len(rows) > page_size else None)


async def show_incident(conn: Connection, incident_id: UUID, *, tenant_id: str | None = None) -> dict[str, Any]:
    """One incident. Raises NotFound."""
    row = await queries.find_incident(conn, incident_id=incident_id, tenant_id=tenant_id)
    if row is None:
        raise NotFound(f"show incident {incident_id}: there is none; list those there are")
    return _row(row)


async def resolve_incidents(
    conn: Connection, incident_ids: Sequence[UUID], *, resolved_by: str, resolution: str, tenant_id: str | None = None
) -> list[UUID]:
    """Close those that are open; their ids. Each leaves a row in the audit log."""
    if not incident_ids:
        return []
    rows = await queries.resolve_incidents(
        conn, incident_ids=list(incident_ids), tenant_id=tenant_id, resolved_by=resolved_by, resolution=resolution
    )
    for row in rows:
        await append(
            conn,
            tenant_id=row["tenant_id"],
            actor=resolved_by,
            action="incident.resolve",
            object_type="incident",
            object_id=str(row["incident_id"]),
            reason=resolution,
        )
    return [row["incident_id"] for row in rows]


async def retry_incident(
    conn: Connection,
    incident_id: UUID,
    *,
    actor: str,
    handlers: Mapping[str, RetryHandler],
    tenant_id: str | None = None,
) -> str | Rejected:
    """Hand the incident to its kind's handler; what the handler did, as a sentence. Raises NotFound."""
    incident = await show_incident(conn, incident_id, tenant_id=tenant_id)
    handler = handlers.get(incident["kind"])
    if handler is None:
        known = ", ".join(sorted(handlers)) or "no kind"
        return Rejected(
            "NotRetryable",
            f"retry incident {incident_id} of kind {incident['kind']}: only {known} can be retried; see its cure",
        )
    said = await handler(conn, incident, actor)
    await append(
        conn,
        tenant_id=incident["tenant_id"],
        actor=actor,
        action="incident.retry",
        object_type="incident",
        object_id=str(incident_id),
        reason=said,
    )
    return said


def _row(record: Any) -> dict[str, Any]:
    return {**dict(record), "detail": json.loads(record["detail"])}
