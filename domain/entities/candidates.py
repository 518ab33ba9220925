"""Which entities a scheduled rule may be about: pages of a type's states, without those about which something was done lately.

Conditions are evaluated by whoever asks. A page is bounded by what it reads, not by what it finds: a tenant whose entities
are all active must not make one statement read them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.entities.entity import Entity, EntityKey
from domain.entities.store import entity_of
from domain.work_items.related import last_related_actions
from runtime.sql import Connection, load_queries

queries = load_queries(__file__)
# As values they take several times as much, and a schedule makes an order of each.
PAGE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Candidates:
    """Entities in the order of their ids, and the id to go on after; None: there are no more."""

    entities: Sequence[Entity]
    next: str | None


async def candidates(
    conn: Connection,
    tenant_id: str,
    entity_type: str,
    inactive_for_days: int | None = None,
    after_id: str = "",
    limit: int = 500,
    most_bytes: int = PAGE_BYTES,
) -> Candidates:
    """One page of at most `limit` living entities behind `after_id`, and of at most `most_bytes` of values unless the first has
    more; with `inactive_for_days` only those about which nothing
    was done for so long: no related activity, no action on a related work item, and created no later."""
    rows = await queries.scan_entities(
        conn, tenant_id=tenant_id, entity_type=entity_type, after_id=after_id, page_size=limit, page_bytes=most_bytes
    )
    following = rows[-1]["entity_id"] if rows and (len(rows) == limit or len(rows) < rows[0]["fetched"]) else None
    if inactive_for_days is not None:
        rows = await _inactive(conn, rows, timedelta(days=inactive_for_days))
    return Candidates([entity_of(row) for row in rows], following)


async def _inactive(conn: Connection, rows: Sequence[Any], patience: timedelta) -> Sequence[Any]:
    quiet = [row for row in rows if row["active_at"] <= row["now"] - patience]
    worked_on: dict[EntityKey, datetime] = await last_related_actions(
        conn, [(row["tenant_id"], row["entity_type"], row["entity_id"]) for row in quiet]
    )
    return [
        row
        for row in quiet
        if (at := worked_on.get((row["tenant_id"], row["entity_type"], row["entity_id"]))) is None
        or at <= row["now"] - patience
    ]
