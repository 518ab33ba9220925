"""One batch, one transaction: the numbered steps 2 to 8 of DESIGN section 5 (P2, P4).

1b prepare, for processors that wait for somebody else: before there is a transaction
2 begin, set the batch's tenants    3 fence    4 look up what was seen, waits or is marked    5 load (locks)
6 decide in memory (`plan`)    7 write state, history, outbox, inbox, numbers, waiting and parked rows    8 commit

The same steps serve fetched records, a redrive, and waiting messages that are let go: there is no second executor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

import asyncpg

from processors.shell.decoding import decode, poison
from processors.shell.messages import Aggregate, Decoded, Identity, Message, OrderKey, Poison, Position, Record
from processors.shell.offsets import Owned, Partition, fence, queries
from processors.shell.plan import FOLLOWS, Known, Outcome, Plan, aggregates_of, keys_of, unnumbered
from processors.shell.processor import Preparing, Processor
from processors.shell.replays import as_first_read, find_unfinished, note_done
from processors.shell.sequences import columns_of
from processors.shell.set_aside import key_columns, park, settle_orders, wait
from runtime.failpoints import reach
from runtime.postgres import array_literal
from runtime.sql import Connection
from schemas.errors import TransientError
from schemas.headers import unpack_headers

# Of one aggregate, as many waiting messages are let go in one batch; the rest follows in the next rounds.
MOST_WAITING = 500


class DeadLetters(Protocol):
    """Sends copies of parked messages and awaits the broker."""

    async def copy(self, parked: Sequence[Poison]) -> None: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction handles. `nexts`: where each touched partition stands afterwards.

    `redriven` and `unwaited` are positions of items that come from the parked and waiting rows; `discards` those that an
    operator gave up; `baselines` the numbers below which an aggregate's missing events will never come, with the reason.
    `alone`: release no waiting message, because something in this batch of one fails.
    """

    items: Sequence[Decoded]
    nexts: Mapping[Partition, int]
    redriven: frozenset[Position] = frozenset()
    unwaited: frozenset[Position] = frozenset()
    discards: frozenset[Position] = frozenset()
    baselines: Mapping[Aggregate, tuple[int, str]] = field(default_factory=dict)
    alone: bool = False

    def tenants(self) -> list[str]:
        """Every tenant of the batch, and the empty one, to which a waiting message falls that can be read no more."""
        return sorted({"", *(item.tenant_id for item in self.items), *(aggregate.tenant_id for aggregate in self.baselines)})

    def halves(self) -> tuple["Batch", "Batch"]:
        """Two batches that together do the same, to find the item that makes this one fail."""
        middle = len(self.items) // 2
        first, second = self.items[:middle], self.items[middle:]
        reached = {partition: offset for partition, offset in next_offsets(first).items() if partition in self.nexts}
        if self.redriven or self.unwaited:
            reached = dict(self.nexts)
        # A baseline is taken once, by the half that goes first.
        return replace(self, items=first, nexts=reached), replace(self, items=second, baselines={})

    def poisoned(self, error: Exception) -> "Batch":
        """The batch of one whose item cannot be saved: it will be parked."""
        item = self.items[0]
        return replace(self, items=[poison(item.record, item.event, error)])


def next_offsets(items: Sequence[Decoded]) -> dict[Partition, int]:
    """Where each partition stands after these fetched items."""
    return {
        Partition(item.record.position.topic, item.record.position.partition): item.record.position.offset + 1 for item in items
    }


class BatchApplier:
    """Runs batches of one group."""

    def __init__(
        self, processor: Processor[Any, Any], pool: asyncpg.Pool, dead_letters: DeadLetters, decode_limit_bytes: int
    ) -> None:
        self.processor, self.group = processor, processor.group.name
        self._pool, self._dead_letters, self._limit = pool, dead_letters, decode_limit_bytes

    def decode(self, record: Record) -> Decoded:
        return decode(record, self.processor.interests, self._limit)

    async def apply(self, owned: Mapping[Partition, Owned], batch: Batch) -> Outcome:
        """Commit the batch. Raises LostFence, whatever PostgreSQL or the processor raises, and nothing was written then."""
        await self._prepare(batch)
        await reach("shell.before-begin")
        async with self._pool.acquire() as conn, conn.transaction():
            row = await queries.begin_batch(conn, tenants=array_literal(batch.tenants()), group_name=self.group)
            await reach("shell.after-begin")
            await fence(conn, self.group, owned, batch.nexts)
            await reach("shell.after-fence")
            unfinished = await find_unfinished(conn, self.group, batch.items)
            batch = replace(batch, items=as_first_read(batch.items, unfinished))
            outcome = await self._decide(conn, batch, row)
            await self._write(conn, batch, outcome, row["now"])
            await note_done(conn, self.group, unfinished, outcome.applied)
            await reach("shell.before-commit")
        await reach("shell.after-commit")
        return outcome

    async def _prepare(self, batch: Batch) -> None:
        if not isinstance(self.processor, Preparing):
            return
        messages = [item for item in batch.items if isinstance(item, Message) and item.payload is not None]
        if messages:
            async with self._pool.acquire() as conn:
                await self.processor.prepare(conn, messages)

    async def _decide(self, conn: Connection, batch: Batch, begun: Mapping[str, Any]) -> Outcome:
        now: datetime = begun["now"]
        known = await self._look_up(conn, batch, begun)
        await reach("shell.after-look-up")
        candidates = [item for item in (*batch.items, *known.waiting.values()) if isinstance(item, Message)]
        messages = [message for message in candidates if _wanted(message, known)]
        known.states = await self.processor.load(conn, messages) if messages else {}
        await reach("shell.after-load")
        decide = self.processor.decide
        plan = Plan(
            known,
            self.processor.key,
            lambda state, message: decide(state, message, now),
            poison,
            batch.discards,
            self.processor.latest_wins,
        )
        outcome = plan.run(batch.items)
        for aggregate in known.raised:
            outcome.sequences.setdefault(aggregate, known.last[aggregate])
        return outcome

    async def _look_up(self, conn: Connection, batch: Batch, begun: Mapping[str, Any]) -> Known:
        known = Known()
        if begun["has_marked"] and (keys := list(keys_of(batch.items))):
            rows = await queries.find_marked_keys(conn, group_name=self.group, **key_columns(keys))
            # A queue moves only from its head: what follows a parked message is never let through without it.
            moved = batch.redriven & {item.record.position for item in batch.items}
            known.marked = {
                OrderKey(row["topic"], row["partition"], row["key"])
                for row in rows
                if (row["topic"], row["partition"], row["head"]) not in moved
            }
        if aggregates := aggregates_of(batch.items):
            known.last = await self.processor.sequences.last_applied(conn, self.group, aggregates)
            for aggregate, (baseline, _) in batch.baselines.items():
                if baseline > known.last.get(aggregate, 0):
                    known.last[aggregate] = baseline
                    known.raised.add(aggregate)
            if begun["has_waiting"] and not batch.alone:
                known.waiting = await self._waiting(conn, aggregates, batch.unwaited)
        if identities := unnumbered(batch.items):
            known.seen = await self._seen(conn, identities)
        return known

    async def _waiting(
        self, conn: Connection, aggregates: Sequence[Aggregate], unwaited: frozenset[Position]
    ) -> dict[tuple[Aggregate, int], Decoded]:
        rows = await queries.find_waiting(conn, group_name=self.group, most=MOST_WAITING, **columns_of(aggregates))
        waiting = {}
        for row in rows:
            record = stored_record(row)
            if record.position not in unwaited:
                aggregate = Aggregate(row["tenant_id"], row["source"], row["topic"], row["aggregate"])
                waiting[aggregate, row["sequence"]] = self.decode(record)
        return waiting

    async def _seen(self, conn: Connection, identities: Sequence[Identity]) -> set[Identity]:
        rows = await queries.find_seen_identities(conn, group_name=self.group, **_identity_columns(identities))
        return {Identity(row["tenant_id"], row["source"], row["event_id"]) for row in rows}

    async def _remember(self, conn: Connection, identities: Sequence[Identity]) -> None:
        try:
            await queries.insert_identities(conn, group_name=self.group, **_identity_columns(identities))
        except asyncpg.UniqueViolationError as error:
            taken = "another member took a message of this batch from another partition: the batch repeats"
            raise TransientError(taken) from error

    async def _write(self, conn: Connection, batch: Batch, outcome: Outcome, now: datetime) -> None:
        if outcome.changed or outcome.outputs:
            await self.processor.save(conn, outcome.changed, outcome.outputs, now)
        await reach("shell.after-save")
        if outcome.sequences:
            await self.processor.sequences.record(conn, self.group, outcome.sequences)
        if outcome.identities:
            await self._remember(conn, outcome.identities)
        for aggregate, (baseline, reason) in batch.baselines.items():
            await queries.insert_baseline(conn, group_name=self.group, baseline=baseline, reason=reason, **aggregate._asdict())
        await wait(conn, self.group, outcome, batch.unwaited, batch.items)
        await park(conn, self.group, outcome.parked)
        await settle_orders(conn, self.group, batch.items, batch.redriven, outcome)
        await reach("shell.after-write")
        copies = [item for item in outcome.parked if item.record.position not in batch.redriven or item.reason != FOLLOWS]
        if copies:
            await self._dead_letters.copy(copies)


def _wanted(message: Message, known: Known) -> bool:
    """Whether deciding may need the message's state: of interest, and not certainly a duplicate."""
    if message.payload is None:
        return False
    if message.aggregate is not None:
        return (message.event.sequence or 0) > known.last.get(message.aggregate, 0)
    return message.identity not in known.seen


def _identity_columns(identities: Sequence[Identity]) -> dict[str, list[str]]:
    return {
        "tenant_ids": [identity.tenant_id for identity in identities],
        "sources": [identity.source for identity in identities],
        "event_ids": [identity.event_id for identity in identities],
    }


def stored_record(row: Mapping[str, Any]) -> Record:
    """A record as the waiting or parked rows keep it: the same bytes that Kafka delivered."""
    position = Position(row["topic"], row["partition"], row["offset"])
    return Record(position, row["key"], row["value"], tuple(unpack_headers(row["headers"])), row["timestamp"], row["replayed"])
