"""The audit log's only writer: who did what to which object, and why. Rows are never changed or deleted."""

import json
from collections.abc import Mapping
from pathlib import Path

from runtime.ids import uuid7
from runtime.sql import Connection, load_queries

queries = load_queries(Path(__file__).with_name("audit.sql"))


async def append(
    conn: Connection,
    *,
    tenant_id: str,
    actor: str,
    action: str,
    object_type: str,
    object_id: str,
    reason: str | None = None,
    detail: Mapping[str, object] | None = None,
) -> None:
    """One row, in the caller's transaction, so that nothing happens without its record."""
    await queries.insert_audit_entry(
        conn,
        tenant_id=tenant_id,
        audit_id=uuid7(),
        actor=actor,
        action=action,
        object_type=object_type,
        object_id=object_id,
        reason=reason,
        detail=json.dumps(dict(detail or {}), default=str),
    )
