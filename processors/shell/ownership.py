"""What happens to partitions that we own: mirrored to Kafka, let go after a lost fence, halted where Kafka has nothing to give.

A partition halts alone, with an incident that names its cure; the member's others go on. Never moves a position: batches
do (`offsets`), and operators (`casestream offsets`).
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, OffsetAndMetadata
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord

from domain.incidents import Incident, open_incidents
from processors.shell import metrics
from processors.shell.assignment import MIRROR_PREFIX, Assignment
from processors.shell.offsets import Owned, Partition
from runtime.logging import get_logger

log = get_logger(__name__)
TELL_SECONDS = 5.0
# Long enough for one fetch of one partition.
CAREFUL_MS = 2000


class Ownership:
    """The owned partitions of one member."""

    def __init__(self, group: str, assignment: Assignment, consumer: AIOKafkaConsumer, pool: asyncpg.Pool) -> None:
        self._group, self._assignment, self._consumer, self._pool = group, assignment, consumer, pool
        self._mirrored: dict[Partition, int] = {}

    async def mirror(self) -> None:
        """Step 9: tell Kafka, for lag tools. A refusal is no trouble; a former owner is stopped by its fence."""
        owned = self._assignment.owned
        moved = {part: own for part, own in owned.items() if self._mirrored.get(part) != own.position}
        if not moved:
            return
        try:
            await self._tell(moved)
        except (KafkaError, OSError, TimeoutError) as error:
            log.info("offsets not mirrored", group=self._group, error=error)
            return
        self._mirrored.update({partition: own.position for partition, own in moved.items()})

    async def on_lost_fence(self, partitions: Iterable[Partition]) -> None:
        """The broker knows who owns a partition: it takes our mirror commit, or we let go."""
        metrics.lost_fences.labels(self._group).inc()
        for partition in partitions:
            own = self._assignment.owned.get(partition)
            if own is None:
                continue
            place = {"group": self._group, "topic": partition.topic, "partition": partition.number}
            try:
                await self._tell({partition: own})
            except (CommitFailedError, IllegalStateError):
                log.warning("partition let go", **place)
                self._assignment.release(partition)
            except (KafkaError, OSError, TimeoutError) as error:
                # No answer is no refusal: letting go would leave the partition to nobody. The next fence fails again.
                log.warning("owner of the partition unknown", error=error, **place)
            else:
                log.warning("partition taken again", **place)
                self._assignment.retake(partition)

    async def on_out_of_range(self, error: OffsetOutOfRangeError) -> None:
        """Kafka does not have these positions any more."""
        for topic_partition, offset in error.args[0].items():
            partition = self._assignment.partition(topic_partition)
            if partition in self._assignment.owned:
                await self._halt(partition, _out_of_range(self._group, partition, offset))

    async def on_unreadable(self) -> dict[Partition, list[ConsumerRecord[bytes, bytes]]]:
        """A batch somewhere cannot be read (its checksum is wrong, it does not decompress): find whose it is, and halt that.

        The client says neither which partition it was nor gives what came before it. Returns what can be read in front
        of the broken batch; empty when none of our partitions shows it again: it was broken on the way only.
        """
        readable = {}
        for partition in await self._unread():
            records, broken = await self._read_carefully(partition)
            if broken is None:
                self._assignment.rewind([partition])
                continue
            log.error("a batch cannot be read", group=self._group, topic=partition.topic, error=broken)
            own = self._assignment.owned.get(partition)
            if own is None:
                continue  # it went to somebody else while we looked
            reached = records[-1].offset + 1 if records else own.position
            await self._halt(partition, _unreadable(self._group, partition, reached, broken))
            readable[partition] = records
        return readable

    async def end_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Where each of these partitions ends now."""
        ends = await self._consumer.end_offsets([self._assignment.topic_partition(partition) for partition in partitions])
        return {self._assignment.partition(topic_partition): int(end) for topic_partition, end in ends.items()}

    def hold(self) -> None:
        """The group is stopped: fetch nothing, stay a member."""
        for partition in self._assignment.owned:
            self._consumer.pause(self._assignment.topic_partition(partition))

    def go_on(self) -> None:
        """The group runs again."""
        for partition in set(self._assignment.owned) - self._assignment.halted:
            self._consumer.resume(self._assignment.topic_partition(partition))

    async def _unread(self) -> list[Partition]:
        """Partitions that have something to fetch."""
        fetching = sorted(set(self._assignment.owned) - self._assignment.halted)
        ends = await self.end_offsets(fetching)
        return [partition for partition in fetching if ends[partition] > self._assignment.owned[partition].position]

    async def _read_carefully(self, partition: Partition) -> tuple[list[ConsumerRecord[bytes, bytes]], Exception | None]:
        """One by one, so that nothing in front of a broken batch is lost with it; at most one fetch."""
        place = self._assignment.topic_partition(partition)
        records: list[ConsumerRecord[bytes, bytes]] = []
        try:
            found = await self._consumer.getmany(place, timeout_ms=CAREFUL_MS, max_records=1)
            while fetched := found.get(place):
                records += fetched
                found = await self._consumer.getmany(place, timeout_ms=0, max_records=1)
        except Exception as error:  # noqa: BLE001 - whatever a codec raises: it is what we look for
            return records, error
        return records, None

    async def _tell(self, owned: Mapping[Partition, Owned]) -> None:
        # The client looks for the group's coordinator for ever; nobody waits so long for a mirror.
        offsets: dict[Any, OffsetAndMetadata] = {
            self._assignment.topic_partition(partition): OffsetAndMetadata(own.position, f"{MIRROR_PREFIX}{own.epoch}")
            for partition, own in owned.items()
        }
        await asyncio.wait_for(self._consumer.commit(offsets), TELL_SECONDS)

    async def _halt(self, partition: Partition, incident: Incident) -> None:
        self._assignment.halt(partition)
        async with self._pool.acquire() as conn:
            await open_incidents(conn, [incident])


def _out_of_range(group: str, partition: Partition, offset: int) -> Incident:
    place = f"{partition.topic}-{partition.number}"
    return Incident(
        tenant_id="",
        kind="offset-out-of-range",
        fingerprint="offset-out-of-range",
        object_type="partition",
        object_id=f"{group}/{place}",
        summary=f"group {group} stands at offset {offset} of {place}, which Kafka does not have: the partition is stopped",
        cure=f"casestream offsets move --group {group} --topic {partition.topic} --partition {partition.number} --to-earliest",
    )


def _unreadable(group: str, partition: Partition, offset: int, error: Exception) -> Incident:
    place = f"{partition.topic}-{partition.number}"
    return Incident(
        tenant_id="",
        kind="unreadable-batch",
        fingerprint="unreadable-batch",
        object_type="partition",
        object_id=f"{group}/{place}",
        summary=f"the batch at offset {offset} of {place} cannot be read ({type(error).__name__}): group {group} stops there",
        cure="read it from another replica (elect another leader) and restart the group's processes, or give its messages up: "
        f"casestream offsets move --group {group} --topic {partition.topic} --partition {partition.number} --to-offset N",
    )
