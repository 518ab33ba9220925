"""Strong coupling watched from outside (WI-7): pairs of item and instance that disagree for a while become incidents.

Coupling itself is by events only: WORK_ITEM_STATUS_CHANGED tells the engine, INSTANCE_STATUS_CHANGED tells `batch`. A
lost or refused message would leave the pair apart for ever; this looks for such pairs. Called by the reconciler with
the tenants it works for set on the connection; never changes an item.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from domain.incidents import Incident, open_incidents
from domain.incidents.resolve import resolve_incidents
from domain.work_items.alarms import DISAGREEMENT
from runtime.sql import Connection, load_queries

queries = load_queries(Path(__file__).with_name("coupling.sql"))
PATIENCE = timedelta(seconds=60)
# Rows of the living side that one statement looks at: far below what the role's statement_timeout allows.
PAGE_SIZE = 5000
FIRST = UUID(int=0)
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


@dataclass(frozen=True, slots=True)
class Walk:
    """One way to disagree: the names of the two queries that walk its living side by item id."""

    find_end: str
    list_pairs: str


WALKS = (
    Walk("find_end_of_open_items", "list_open_items_of_ended_instances"),
    Walk("find_end_of_running_instances", "list_running_instances_of_ended_items"),
)


async def report_disagreements(
    conn: Connection,
    tenant_id: str,
    walk: Walk,
    after: UUID,
    *,
    older_than: timedelta = PATIENCE,
    page_size: int = PAGE_SIZE,
) -> tuple[Sequence[Disagreement], UUID | None]:
    """Open an incident for each pair of one page that disagrees: those pairs, and where the next page begins."""
    place = {"tenant_id": tenant_id, "after": after}
    upto = await getattr(queries, walk.find_end)(conn, **place, page_size=page_size)
    if upto is None:
        return (), None
    rows = await getattr(queries, walk.list_pairs)(conn, **place, upto=upto, older_than=older_than)
    pairs = [Disagreement(**dict(row)) for row in rows]
    await open_incidents(conn, [_incident(pair) for pair in pairs])
    return pairs, upto


async def resolve_agreements(conn: Connection, tenant_id: str, *, page_size: int = PAGE_SIZE) -> int:
    """Resolve a page of the incidents whose pairs agree again; how many."""
    agreeing = await queries.list_agreeing_incidents(conn, tenant_id=tenant_id, page_size=page_size)
    ids = [row["incident_id"] for row in agreeing]
    return len(await resolve_incidents(conn, ids, resolved_by="system:reconciler", resolution="the pair agrees again"))


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
