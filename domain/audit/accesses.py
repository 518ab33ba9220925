"""Who viewed or changed data of a person (IN-12): entries of the audit log that name a `subject`. Names of fields only."""

import json
from datetime import datetime
from typing import Any

from runtime.sql import Connection, load_queries

queries = load_queries(__file__)

# Time and id of an entry: a page begins after it.
Place = tuple[datetime, str]


async def list_accesses(
    conn: Connection, tenant_id: str, *, subject_id: str | None = None, after: Place | None = None, size: int
) -> list[dict[str, Any]]:
    """A page, latest first."""
    at, access_id = after or (None, None)
    named = {"tenant_id": tenant_id, "at": at, "access_id": access_id, "size": size}
    if subject_id is None:
        rows = await queries.list_accesses(conn, **named)
    else:
        rows = await queries.list_accesses_of(conn, subject_id=subject_id, **named)
    return [{**row, "fields": json.loads(row["fields"]) if row["fields"] else []} for row in map(dict, rows)]
