"""Strong coupling watched from outside (WI-7): pairs of item and instance that disagree for a while become incidents.

Coupling itself is by events only: WORK_ITEM_STATUS_CHANGED tells the engine, INSTANCE_STATUS_CHANGED tells `batch`. A
lost or refused message would leave the pair apart for ever; this looks for such pairs. Called by the reconciler with
the tenants it works for set on the connection; never changes an item.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from domain.incidents import Incident, open_incidents
from domain.incidents.resolve import resolve_incidents
from domain.work_items.alarms import DISAGREEMENT
from runtime.sql import Connection, load_queries

queries = load_queries(Path(__file__).with_name("coupling.sql"))
PATIENCE = timedelta(seconds=60)
_CURE = {
    "completed": "close the work item, or reopen the instance in the onboarding admin pages",
    "running": "cancel or complete the instance in the onboarding admin pages, or reopen the work item",
}


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A strongly coupled pair of which one has ended and the other not, both unchanged for `older_than`."""

    tenant_id: str
    work_item_id: str
    item_status: str
    instance_id: str
    instance_status: str
    cycle: int
    since: datetime


async def list_disagreeing_pairs(
    conn: Connection, *, older_than: timedelta = PATIENCE, page_size: int = 1000
) -> list[Disagreement]:
    """The pairs of the connection's tenants that disagree."""
    rows = await queries.list_disagreeing_pairs(conn, older_than=older_than, page_size=page_size)
    return [Disagreement(**dict(row)) for row in rows]


async def reconcile_coupling(conn: Connection, *, older_than: timedelta = PATIENCE) -> Sequence[Disagreement]:
    """Open an incident for each pair that disagrees, resolve those of pairs that agree again; the pairs found."""
    pairs = await list_disagreeing_pairs(conn, older_than=older_than)
    await open_incidents(conn, [_incident(pair) for pair in pairs])
    agreeing = await queries.list_agreeing_incidents(conn)
    await resolve_incidents(
        conn, [row["incident_id"] for row in agreeing], resolved_by="system:reconciler", resolution="the pair agrees again"
    )
    return pairs


def _incident(pair: Disagreement) -> Incident:
    return Incident(
        pair.tenant_id,
        DISAGREEMENT,
        f"{pair.instance_id}:{pair.cycle}",
        f"work item {pair.work_item_id} is {pair.item_status}, its instance {pair.instance_id} is {pair.instance_status}",
        object_type="work_item",
        object_id=pair.work_item_id,
        cure=_CURE[pair.instance_status],
        detail={"instanceId": pair.instance_id, "cycle": pair.cycle, "since": pair.since.isoformat()},
    )
