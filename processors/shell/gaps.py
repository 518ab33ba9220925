"""When a missing number will never come, and what to say while it may.

A first sight above 1 is a gap like any other. It becomes the baseline only where the group began (or was moved to) above
offset 0, or over a range that an operator skipped, and only after

  a  the outbox holds no row of that aggregate, and
  b  the partition has been read to the end offset asked for after (a); for an upstream's own numbers, 60 s instead

Everything else waits, with an incident after 60 s, until the number comes or an operator says that it never will.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from domain.incidents import Incident, open_incidents
from processors.shell.messages import Aggregate
from processors.shell.offsets import Owned, Partition, queries
from processors.shell.processor import SequenceStore
from runtime.postgres import array_literal
from runtime.sql import Connection

PATIENCE_SECONDS = 60.0
MOST_GAPS = 1000

EndOffset = Callable[[Partition], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Gap:
    """An aggregate that waits. `lowest` is the smallest waiting number."""

    partition: Partition
    aggregate: Aggregate
    lowest: int
    waiting_for: int
    seconds: float
    skip: bool
    skipped_range: bool
    first_sight: bool


class GapWatch:
    """Finds the gaps of our partitions that may be closed. Remembers, per gap, the end offset of (b)."""

    def __init__(self, group: str, own_source: str, sequences: SequenceStore, end_offset: EndOffset) -> None:
        self._group, self._own_source = group, own_source
        self._sequences, self._end_offset = sequences, end_offset
        self._read_to: dict[Aggregate, int] = {}

    async def closable(self, conn: Connection, owned: dict[Partition, Owned]) -> list[tuple[Gap, str]]:
        """Gaps to close now, each with its reason; opens incidents for the impatient rest."""
        gaps = await self._list(conn, list(owned))
        self._read_to = {
            aggregate: end for aggregate, end in self._read_to.items() if aggregate in {gap.aggregate for gap in gaps}
        }
        ready, impatient = [], []
        for gap in gaps:
            reason = await self._reason(conn, gap, owned)
            if reason:
                ready.append((gap, reason))
            elif gap.seconds >= PATIENCE_SECONDS:
                impatient.append(gap)
        await open_incidents(conn, [self._incident(gap) for gap in impatient])
        await open_incidents(conn, [self._skipped(gap) for gap, reason in ready if reason == "skipped-range"])
        return ready

    async def _list(self, conn: Connection, partitions: Sequence[Partition]) -> list[Gap]:
        places = {"topics": [part.topic for part in partitions], "partitions": [part.number for part in partitions]}
        tenants = await queries.tenants_of_waiting(conn, group_name=self._group, **places)
        if not tenants:
            return []
        await queries.begin_batch(conn, tenants=array_literal(tenants))
        rows = await queries.list_gaps(conn, group_name=self._group, most=MOST_GAPS, **places)
        aggregates = [Aggregate(row["tenant_id"], row["source"], row["topic"], row["aggregate"]) for row in rows]
        known = await self._sequences.last_applied(conn, self._group, aggregates)
        return [
            Gap(
                Partition(row["topic"], row["partition"]),
                aggregate,
                row["lowest"],
                row["waiting_for"],
                row["seconds"],
                row["skip"],
                row["skipped"],
                aggregate not in known,
            )
            for row, aggregate in zip(rows, aggregates, strict=True)
        ]

    async def _reason(self, conn: Connection, gap: Gap, owned: dict[Partition, Owned]) -> str | None:
        if gap.skip:
            return "operator"
        began_late = gap.first_sight and owned[gap.partition].began_at > 0
        if not (began_late or gap.skipped_range):
            return None
        if await self._may_still_come(conn, gap, owned[gap.partition].position):
            return None
        return "first-sight" if began_late else "skipped-range"

    async def _may_still_come(self, conn: Connection, gap: Gap, position: int) -> bool:
        if gap.aggregate.source != self._own_source:
            return gap.seconds < PATIENCE_SECONDS
        tenant_id, _, rest = gap.aggregate.aggregate.partition("|")
        aggregate, _, aggregate_id = rest.partition("|")
        if await queries.outbox_holds(conn, tenant_id=tenant_id, aggregate=aggregate, aggregate_id=aggregate_id):
            self._read_to.pop(gap.aggregate, None)
            return True
        if gap.aggregate not in self._read_to:
            self._read_to[gap.aggregate] = await self._end_offset(gap.partition)
        return position < self._read_to[gap.aggregate]

    def _incident(self, gap: Gap) -> Incident:
        place = f"--group {self._group} --topic {gap.aggregate.topic} --aggregate '{gap.aggregate.aggregate}'"
        return Incident(
            tenant_id=gap.aggregate.tenant_id,
            kind="sequence-gap",
            fingerprint="sequence-gap",
            object_type="aggregate",
            object_id=f"{self._group}/{gap.aggregate.topic}/{gap.aggregate.aggregate}",
            summary=f"group {self._group} waits for number {gap.waiting_for} of an aggregate; {gap.lowest} and later wait",
            cure=f"find out why the number is missing; if it will never come: casestream offsets skip-gap {place}",
            detail={"waitingFor": gap.waiting_for, "lowestWaiting": gap.lowest},
        )

    def _skipped(self, gap: Gap) -> Incident:
        place = f"{gap.partition.topic}-{gap.partition.number}"
        return Incident(
            tenant_id="",
            kind="skipped-range",
            fingerprint="skipped-range",
            object_type="partition",
            object_id=f"{self._group}/{place}",
            summary=f"group {self._group} was moved forward on {place}: aggregates were taken up behind the skipped events",
            cure="nothing to do if the move was meant; otherwise move the group back",
        )
