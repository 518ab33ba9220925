"""What a member does between fetches, once a second: orders, gaps, and whether its group is stopped.

Orders are done by the partition's owner through the normal batch, so nothing else ever applies a message.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg

from domain.incidents import Incident, open_incidents
from processors.shell.batch import MOST_WAITING, Batch, BatchApplier, stored_record
from processors.shell.committing import Committer
from processors.shell.gaps import RELEASED, Gap, GapWatch
from processors.shell.offsets import LostFence, Owned, Partition, queries
from processors.shell.ownership import Ownership
from processors.shell.park_rate import ParkRate
from processors.shell.sequences import columns_of
from runtime.logging import get_logger

log = get_logger(__name__)
PAGE = 500
# As much as one fetch brings: a page of whole snapshots must fit into memory, and its work into a transaction.
PAGE_BYTES = 16 * 1024 * 1024
GAPS_PER_BATCH = 20


class Rounds:
    """The once-a-second duties of one member."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        applier: BatchApplier,
        committer: Committer,
        ownership: Ownership,
        gaps: GapWatch,
        rate: ParkRate,
    ) -> None:
        self._pool, self._applier, self._committer, self._ownership = pool, applier, committer, ownership
        self._group, self._gaps, self._rate = applier.group, gaps, rate
        self._stop_reason: str | None = None
        self.stopped = False

    def count(self, now: float, messages: int, poisoned: int) -> None:
        """A batch was committed; too much poison stops the group at the next round."""
        if self._rate.add(now, messages, poisoned):
            self._stop_reason = "more than the allowed share of messages was poisoned within a minute"

    async def go(self, owned: dict[Partition, Owned]) -> None:
        """One round. Raises what a batch raises."""
        await self._watch_state()
        if not owned:
            return
        await self._watch_epochs(owned)
        while await self._redrive(owned):
            pass
        if not self.stopped:
            await self._close_gaps(owned)

    async def _watch_state(self) -> None:
        async with self._pool.acquire() as conn:
            if self._stop_reason is not None:
                await queries.stop_group(conn, group_name=self._group, reason=self._stop_reason)
                await open_incidents(conn, [self._stopped_incident(self._stop_reason)])
                self._stop_reason = None
            stopped = await queries.group_state(conn, group_name=self._group) == "stopped"
        if stopped:
            self._ownership.hold()
        elif self.stopped:
            self._rate.forget()
            self._ownership.go_on()
        self.stopped = stopped

    async def _watch_epochs(self, owned: dict[Partition, Owned]) -> None:
        """An idle partition runs no fence: without this look an operator's move would wait for the next message."""
        async with self._pool.acquire() as conn:
            rows = await queries.find_epochs(conn, group_name=self._group, **_places(owned))
        epochs = {Partition(row["topic"], row["partition"]): row["epoch"] for row in rows}
        if raised := [partition for partition, own in owned.items() if epochs.get(partition) != own.epoch]:
            raise LostFence(raised)

    async def _redrive(self, owned: dict[Partition, Owned]) -> bool:
        """A page of what operators ordered; True when there may be more."""
        async with self._pool.acquire() as conn:
            rows = await queries.find_ordered_messages(
                conn, group_name=self._group, most=PAGE, bytes=PAGE_BYTES, **_places(owned)
            )
        if not rows:
            return False
        items = [self._applier.decode(stored_record(row)) for row in rows]
        positions = frozenset(item.record.position for item in items)
        discards = frozenset(item.record.position for item, row in zip(items, rows, strict=True) if row["ordered"] == "discard")
        log.info("redriving parked messages", group=self._group, count=len(items))
        await self._committer.commit(Batch(items, _standing(items, owned), redriven=positions, discards=discards))
        return len(rows) == PAGE or sum(len(row["value"] or b"") for row in rows) >= PAGE_BYTES

    async def _close_gaps(self, owned: dict[Partition, Owned]) -> None:
        ready = await self._gaps.closable(self._pool, owned)
        for start in range(0, len(ready), GAPS_PER_BATCH):
            await self._close(ready[start : start + GAPS_PER_BATCH], owned)

    async def _close(self, ready: Sequence[tuple[Gap, str]], owned: dict[Partition, Owned]) -> None:
        async with self._pool.acquire() as conn:
            aggregates = columns_of([gap.aggregate for gap, _ in ready])
            rows = await queries.find_waiting(conn, group_name=self._group, most=MOST_WAITING, **aggregates)
        items = [self._applier.decode(stored_record(row)) for row in sorted(rows, key=lambda row: row["sequence"])]
        baselines = {gap.aggregate: (gap.lowest - 1, reason) for gap, reason in ready if reason != RELEASED}
        log.warning("gaps closed", group=self._group, count=len(ready), reasons=sorted({reason for _, reason in ready}))
        positions = frozenset(item.record.position for item in items)
        await self._committer.commit(Batch(items, _standing(items, owned), unwaited=positions, baselines=baselines))

    def _stopped_incident(self, reason: str) -> Incident:
        return Incident(
            tenant_id="",
            kind="group-stopped",
            fingerprint="park-rate",
            object_type="group",
            object_id=self._group,
            summary=f"group {self._group} stopped itself: {reason}",
            cure=f"casestream dlt list --group {self._group}; mend the cause; casestream group resume {self._group}",
        )


def _places(owned: dict[Partition, Owned]) -> dict[str, list[Any]]:
    return {"topics": [part.topic for part in owned], "partitions": [part.number for part in owned]}


def _standing(items: Sequence[Any], owned: dict[Partition, Owned]) -> dict[Partition, int]:
    """Set-aside messages move no offset: their partitions stand where they stand, and the fence still checks them."""
    touched = {Partition(item.record.position.topic, item.record.position.partition) for item in items}
    return {partition: owned[partition].position for partition in touched if partition in owned}
