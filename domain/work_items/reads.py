"""What screens read of work items: one item, lists, history, comments (WI-5). Never locks, never changes anything.

Rows are plain dicts with the column names of `reads.sql`, times as aware datetimes, ids as text. Lists are keyset pages:
`next` of one page is the `after` of the following one, None at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from domain.work_items.store import canonical_id
from runtime.sql import Connection, QueryCall, load_queries
from schemas.errors import NotFound

queries = load_queries(Path(__file__).with_name("reads.sql"))
# PostgreSQL knows an infinite time, Python does not; a first page begins after every real row.
_LAST_TIME = datetime.fromisoformat("9999-12-31T23:59:59+00:00")
_LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list is narrowed to; None matches everything."""

    status: str | None = None
    assignee_id: str | None = None
    process: str | None = None
    priority: str | None = None
    request_type: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows and where the next page begins."""

    rows: list[dict[str, Any]]
    next: Any = field(default=None)


async def get_work_item(conn: Connection, tenant_id: str, work_item_id: str) -> dict[str, Any]:
    """Everything of one item. Raises NotFound, for a foreign tenant's item too."""
    item_id = canonical_id(work_item_id)
    record = item_id and await queries.find_work_item(conn, tenant_id=tenant_id, id=item_id)
    if not record:
        raise NotFound(f"Work item {work_item_id} not found")
    return dict(record)


async def list_work_items(
    conn: Connection, tenant_id: str, narrowed: Filter, *, after: tuple[datetime, str] | None = None, page_size: int = 50
) -> Page:
    """A tenant's items, newest first; `after` is the (created_at, id) of the last row seen."""
    before_at, before_id = after or (_LAST_TIME, _LAST_ID)
    rows = await _list_call(narrowed)(
        conn,
        tenant_id=tenant_id,
        status=narrowed.status,
        assignee_id=narrowed.assignee_id,
        process=narrowed.process,
        priority=narrowed.priority,
        request_type=narrowed.request_type,
        before_at=before_at,
        before_id=before_id,
        page_size=page_size + 1,
    )
    found = [dict(row) for row in rows[:page_size]]
    return Page(found, (found[-1]["created_at"], found[-1]["id"]) if len(rows) > page_size else None)


async def list_history(conn: Connection, tenant_id: str, work_item_id: str, *, after: int = 0, page_size: int = 200) -> Page:
    """An item's state history, oldest first; `after` is the last position seen. Raises NotFound."""
    item_id = await _existing(conn, tenant_id, work_item_id)
    rows = await queries.list_history(conn, tenant_id=tenant_id, id=item_id, after=after, page_size=page_size + 1)
    found = [dict(row) for row in rows[:page_size]]
    return Page(found, found[-1]["position"] if len(rows) > page_size else None)


async def list_comments(
    conn: Connection, tenant_id: str, work_item_id: str, *, after: str | None = None, page_size: int = 100
) -> Page:
    """An item's comments, oldest first; `after` is the last comment id seen. Raises NotFound."""
    item_id = await _existing(conn, tenant_id, work_item_id)
    rows = await queries.list_comments(conn, tenant_id=tenant_id, id=item_id, after=after, page_size=page_size + 1)
    found = [dict(row) for row in rows[:page_size]]
    return Page(found, found[-1]["comment_id"] if len(rows) > page_size else None)


def _list_call(narrowed: Filter) -> QueryCall:
    # The narrowest index first: a person has fewer items than a process, a process fewer than a status.
    if narrowed.assignee_id is not None:
        return queries.list_by_assignee
    if narrowed.process is not None:
        return queries.list_by_process
    return queries.list_newest if narrowed.status is None else queries.list_by_status


async def _existing(conn: Connection, tenant_id: str, work_item_id: str) -> str:
    item_id = canonical_id(work_item_id)
    if item_id is None or not await queries.exists_work_item(conn, tenant_id=tenant_id, id=item_id):
        raise NotFound(f"Work item {work_item_id} not found")
    return item_id


async def statuses_of(conn: Connection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Of these (tenant, canonical id) the items that are there, with their status."""
    if not keys:
        return {}
    rows = await queries.list_statuses(conn, tenant_ids=[tenant for tenant, _ in keys], ids=[id_ for _, id_ in keys])
    return {(row["tenant_id"], row["id"]): row["status"] for row in rows}
