"""A member of group `workflow-engine` without a broker: records by offset, the shell's batches, moves and redrives."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from domain.operations.decisions import Bounds, Move
from domain.operations.positions import move
from processors.rules import Rules
from processors.shell.batch import Batch, BatchApplier, DeadLetters, stored_record
from processors.shell.messages import Poison, Position, Record
from processors.shell.offsets import Owned, Partition, queries, take
from processors.shell.plan import Outcome
from schemas.entities import EntityChangeEvent
from schemas.envelope import CloudEvent, to_headers
from schemas.registry import RULES, Place
from tests.integration.rules.house import OUTBOX, WIRING, House

TOPIC = "crm.entity.events"
PARTITION = Partition(TOPIC, 0)


class NoCopies:
    """Dead letters have no broker here; what is parked stands in its table."""

    async def copy(self, parked: Sequence[Poison]) -> None:
        """Nothing."""


@dataclass
class Reader:
    """One partition, its records so far, and the member that owns it."""

    house: House
    records: list[tuple[bytes, bytes, tuple[tuple[str, bytes | None], ...]]] = field(default_factory=list)
    own: Owned | None = None
    skips_shown_per_minute: int = 0
    copies: DeadLetters = field(default_factory=NoCopies)

    async def applier(self) -> BatchApplier:
        pool = await self.house.world.pool("worker")
        rules = Rules(OUTBOX, WIRING, self.house.rules, self.skips_shown_per_minute)
        return BatchApplier(rules, pool, self.copies, 1_000_000)

    def publish(self, named: str, entity_id: str = "42", sequence: int | None = None, **new: Any) -> None:
        """An update of a lead comes to the topic."""
        self.publish_event(
            EntityChangeEvent(
                event_id=named,
                entity_type="LEAD",
                entity_id=entity_id,
                change_type="UPDATE",
                new_values=new,
                tenant_id="north",
                timestamp=datetime.now(UTC),
            ),
            sequence,
        )

    def publish_event(self, change: EntityChangeEvent, sequence: int | None = None) -> None:
        """The envelope is of tenant north, whatever the change says."""
        tenant, key = "north", f"north|LEAD|{change.entity_id}"
        told = CloudEvent(
            id=change.event_id, source="crm", type=change.TYPE, tenant=tenant, subject=change.entity_id,
            time=change.timestamp, data=change.to_json(), dataschema=change.dataschema(), partitionkey=key,
            sequence=sequence,
        )  # fmt: skip
        self.records.append((key.encode(), told.data or b"", tuple(to_headers(told))))

    async def take(self, topic_id: Any = None) -> None:
        """Become the owner of the partition, as after a rebalance."""
        async with self.house.world.worker() as conn:
            self.own = (await take(conn, RULES.name, "reader", {PARTITION: 0}, {TOPIC: topic_id}))[PARTITION]

    async def read(self, most: int = 1_000) -> Outcome:
        """One batch from where the member stands."""
        if self.own is None:
            await self.take()
        assert self.own is not None
        applier = await self.applier()
        begin = self.own.position
        fetched = self.records[begin : begin + most]
        items = [applier.decode(self._record(offset, one)) for offset, one in enumerate(fetched, begin)]
        outcome = await applier.apply({PARTITION: self.own}, Batch(items, {PARTITION: begin + len(items)}))
        self.own.position = begin + len(items)
        return outcome

    async def redrive(self) -> Outcome:
        """An operator's order over everything that is parked, done by the owner."""
        assert self.own is not None
        applier = await self.applier()
        async with self.house.world.worker() as conn:
            await conn.execute("update parked_messages set ordered = 'redrive'")
            rows = await queries.find_ordered_messages(
                conn, group_name=RULES.name, most=500, bytes=1 << 20, topics=[TOPIC], partitions=[0]
            )
        items = [applier.decode(stored_record(row)) for row in rows]
        positions = frozenset(item.record.position for item in items)
        return await applier.apply({PARTITION: self.own}, Batch(items, {PARTITION: self.own.position}, redriven=positions))

    async def move(self, to: int) -> None:
        """`casestream offsets move`, with the inbox emptied as its retention would; another member takes the partition."""
        assert self.own is not None
        async with self.house.world.worker() as conn:
            await conn.execute("delete from inbox")
        pool = await self.house.world.pool("migrate")
        async with pool.acquire() as conn, conn.transaction():
            bounds = Bounds(0, len(self.records))
            await move(conn, RULES.name, [Move(Place(TOPIC, 0), self.own.position, to, bounds)], actor="test")
        await self.take()

    def _record(self, offset: int, one: tuple[bytes, bytes, tuple[tuple[str, bytes | None], ...]]) -> Record:
        assert self.own is not None
        at = int(datetime.now(UTC).timestamp() * 1_000)
        return Record(Position(TOPIC, 0, offset), *one, at, replayed=self.own.was_handled(offset))
