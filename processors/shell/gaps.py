"""When a missing number will never come, and what to say while it may.

A first sight above 1 is a gap like any other. It becomes the baseline only where the group began (or was moved to) above
offset 0, or over a range that an operator skipped, and only after

  a  the outbox holds no row of that aggregate, and
  b  the partition has been read to the end offset asked for after (a); for an upstream's own numbers, 60 s instead

Everything else waits, with an incident after 60 s, until the number comes or an operator says that it never will.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from domain.incidents import Incident, open_incidents
from processors.shell.messages import Aggregate
from processors.shell.offsets import Owned, Partition, queries
from processors.shell.processor import SequenceStore
from runtime.postgres import array_literal
from runtime.sql import Connection

PATIENCE_SECONDS = 60.0
MOST_GAPS = 500

EndOffsets = Callable[[Sequence[Partition]], Awaitable[Mapping[Partition, int]]]
# Nothing is missing: the number before `lowest` is applied (its batch left the waiting ones for the next round).
RELEASED = "released"
INCARNATION = "#"


@dataclass(frozen=True, slots=True)
class Gap:
    """An aggregate that waits. `lowest` is the smallest waiting number, `last` the last applied one (None: none ever)."""

    partition: Partition
    aggregate: Aggregate
    lowest: int
    waiting_for: int
    seconds: float
    skip: bool
    skipped_range: bool
    last: int | None


class GapWatch:
    """Finds the gaps of our partitions that may be closed. Remembers, per gap, the end offset of (b)."""

    def __init__(self, group: str, own_source: str, sequences: SequenceStore, end_offsets: EndOffsets) -> None:
        self._group, self._own_source = group, own_source
        self._sequences, self._end_offsets = sequences, end_offsets
        self._read_to: dict[Aggregate, int] = {}
        self._reported: dict[Aggregate, int] = {}
        self._rounds = 0

    async def closable(self, pool: asyncpg.Pool, owned: dict[Partition, Owned]) -> list[tuple[Gap, str]]:
        """Gaps to close now, each with its reason; opens incidents for the impatient rest, once a minute each."""
        async with pool.acquire() as conn, conn.transaction():
            gaps = await self._list(conn, list(owned))
            held = await self._held_by_outbox(conn, gaps)
        # Kafka is asked outside the transaction: nobody's locks wait for a broker.
        await self._ask_ends([gap for gap in gaps if gap.aggregate not in held])
        reasons = {gap: self._reason(gap, owned[gap.partition], held) for gap in gaps if gap.partition in owned}
        ready = [(gap, reason) for gap, reason in reasons.items() if reason]
        incidents = [self._incident(gap) for gap, reason in reasons.items() if not reason and self._is_news(gap)]
        incidents += [self._skipped(gap) for gap, reason in ready if reason == "skipped-range"]
        if incidents:
            async with pool.acquire() as conn, conn.transaction():
                tenants = array_literal(sorted({one.tenant_id for one in incidents}))
                await queries.begin_batch(conn, tenants=tenants, group_name=self._group)
                await open_incidents(conn, incidents)
        return ready

    def _is_news(self, gap: Gap) -> bool:
        minute = int(gap.seconds // PATIENCE_SECONDS)
        if minute < 1 or self._reported.get(gap.aggregate) == minute:
            return False
        if len(self._reported) > 10 * MOST_GAPS:
            self._reported.clear()
        self._reported[gap.aggregate] = minute
        return True

    async def _list(self, conn: Connection, partitions: Sequence[Partition]) -> list[Gap]:
        places = {"topics": [part.topic for part in partitions], "partitions": [part.number for part in partitions]}
        tenants = await queries.tenants_of_waiting(conn, group_name=self._group, **places)
        if not tenants:
            return []
        await queries.begin_batch(conn, tenants=array_literal(tenants), group_name=self._group)
        self._rounds += 1
        rows = await queries.list_gaps(conn, group_name=self._group, most=MOST_GAPS, salt=str(self._rounds), **places)
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
                known.get(aggregate),
            )
            for row, aggregate in zip(rows, aggregates, strict=True)
        ]

    def _reason(self, gap: Gap, own: Owned, held: set[Aggregate]) -> str | None:
        if gap.last is not None and gap.lowest <= gap.last + 1:
            return RELEASED
        if gap.skip:
            return "operator"
        # A new incarnation (after a restore) goes on numbering where its predecessor was restored to.
        began_late = gap.last is None and (own.began_at > 0 or INCARNATION in gap.aggregate.source)
        if not (began_late or gap.skipped_range) or self._may_still_come(gap, own.position, held):
            return None
        return "first-sight" if began_late else "skipped-range"

    def _may_still_come(self, gap: Gap, position: int, held: set[Aggregate]) -> bool:
        if not self._is_ours(gap.aggregate):
            return gap.seconds < PATIENCE_SECONDS
        return gap.aggregate in held or position < self._read_to[gap.aggregate]

    def _is_ours(self, aggregate: Aggregate) -> bool:
        return aggregate.source.partition(INCARNATION)[0] == self._own_source.partition(INCARNATION)[0]

    async def _held_by_outbox(self, conn: Connection, gaps: Sequence[Gap]) -> set[Aggregate]:
        """(a): our own aggregates of which an event still waits to be sent."""
        ours = [gap.aggregate for gap in gaps if self._is_ours(gap.aggregate)]
        if not ours:
            return set()
        names = [_parts(aggregate) for aggregate in ours]
        rows = await queries.find_in_outbox(
            conn,
            tenant_ids=[tenant_id for tenant_id, _, _ in names],
            aggregates=[aggregate for _, aggregate, _ in names],
            aggregate_ids=[aggregate_id for _, _, aggregate_id in names],
        )
        found = {(row["tenant_id"], row["aggregate"], row["aggregate_id"]) for row in rows}
        return {aggregate for aggregate, name in zip(ours, names, strict=True) if name in found}

    async def _ask_ends(self, gaps: Sequence[Gap]) -> None:
        """(b): the end of the partition, asked for once after (a) held."""
        free = {gap.aggregate for gap in gaps}
        self._read_to = {aggregate: end for aggregate, end in self._read_to.items() if aggregate in free}
        if new := [gap for gap in gaps if gap.aggregate not in self._read_to and self._is_ours(gap.aggregate)]:
            ends = await self._end_offsets(sorted({gap.partition for gap in new}))
            self._read_to.update({gap.aggregate: ends[gap.partition] for gap in new})

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


def _parts(aggregate: Aggregate) -> tuple[str, str, str]:
    """Tenant, type and id, as our outbox names them."""
    tenant_id, _, rest = aggregate.aggregate.partition("|")
    name, _, aggregate_id = rest.partition("|")
    return tenant_id, name, aggregate_id
