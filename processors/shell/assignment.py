"""Which partitions we own. Kafka proposes, PostgreSQL confirms: a partition is ours once its epoch is raised.

The rebalance callbacks only take notes (a database that is away must not hold up the group); the consumer's loop takes
what was noted. Until then a partition is paused and stands at a placeholder, so that nothing is fetched.
"""

from collections.abc import Iterable

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from domain.incidents import Incident, open_incidents
from processors.shell.offsets import Owned, Partition, take
from runtime.failpoints import reach
from runtime.kafka import logical, physical
from runtime.logging import get_logger
from runtime.settings import Settings
from runtime.topic_ids import topic_ids

log = get_logger(__name__)
MIRROR_PREFIX = "pg:"


class Assignment(ConsumerRebalanceListener):
    """The partitions of one member: noted, owned, halted."""

    def __init__(self, settings: Settings, group: str, owner: str, consumer: AIOKafkaConsumer) -> None:
        self._settings, self._group, self._owner, self._consumer = settings, group, owner, consumer
        self.noted: set[Partition] = set()
        self.owned: dict[Partition, Owned] = {}
        self.halted: set[Partition] = set()
        self.answered = False

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Everything fetched from these partitions and not yet committed will come again, to whoever owns them."""
        for partition in map(self.partition, revoked):
            self.owned.pop(partition, None)
            self.noted.discard(partition)
            self.halted.discard(partition)
        self.answered = False

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        for partition in assigned:
            self._consumer.pause(partition)
            self._consumer.seek(partition, 0)
        self.noted |= set(map(self.partition, assigned))
        self.answered = True

    @property
    def settled(self) -> bool:
        """The group has told us our partitions (a spare member has none), and all of them are taken."""
        return self.answered and not self.noted

    def partition(self, topic_partition: TopicPartition) -> Partition:
        return Partition(logical(self._settings, topic_partition.topic), topic_partition.partition)

    def topic_partition(self, partition: Partition) -> TopicPartition:
        return TopicPartition(physical(self._settings, partition.topic), partition.number)

    async def take_noted(self, pool: asyncpg.Pool, admin: AIOKafkaAdminClient) -> None:
        """Raise the epochs of the noted partitions, go to PostgreSQL's positions, start fetching."""
        taking = set(self.noted)
        if not taking:
            return
        starts = await self._consumer.beginning_offsets([self.topic_partition(partition) for partition in taking])
        begins = {self.partition(topic_partition): offset for topic_partition, offset in starts.items()}
        topics = {partition.topic for partition in taking}
        found = await topic_ids(admin, [physical(self._settings, topic) for topic in topics])
        ids = {topic: found.get(physical(self._settings, topic)) for topic in topics}
        await reach("shell.before-take")
        async with pool.acquire() as conn, conn.transaction():
            taken = await take(conn, self._group, self._owner, begins, ids)
        await reach("shell.after-take")
        async with pool.acquire() as conn:
            await open_incidents(conn, await self._foreign_offsets(admin, taken))
        for partition, owned in taken.items():
            if partition in self.noted:
                self.noted.discard(partition)
                self.owned[partition] = owned
                self._consumer.seek(self.topic_partition(partition), owned.position)
                self._consumer.resume(self.topic_partition(partition))
        log.info("partitions taken", group=self._group, count=len(taken))

    async def _foreign_offsets(self, admin: AIOKafkaAdminClient, taken: dict[Partition, Owned]) -> list[Incident]:
        """Kafka's committed offset is never a position; a foreign one means that a stock tool was used in vain."""
        committed = await admin.list_consumer_group_offsets(physical(self._settings, self._group))
        prefix = self._settings.topic_prefix
        foreign = {
            Partition(place.topic[len(prefix) :], place.partition)
            for place, mirror in committed.items()
            if place.topic.startswith(prefix) and not (mirror.metadata or "").startswith(MIRROR_PREFIX)
        }
        return [_foreign_offset(self._group, partition) for partition in sorted(foreign & set(taken))]

    def rewind(self, partitions: Iterable[Partition] | None = None) -> None:
        """Fetch again what was fetched and did not commit: a poll that failed has moved the client past it."""
        chosen = set(self.owned) if partitions is None else set(self.owned) & set(partitions)
        for partition in chosen - self.halted:
            self._consumer.seek(self.topic_partition(partition), self.owned[partition].position)

    def release(self, partition: Partition) -> None:
        """We are not the owner any more: fetch nothing, drop what is buffered."""
        self.owned.pop(partition, None)
        self._quiet(partition)

    def retake(self, partition: Partition) -> None:
        """The broker says that we still own it: take it again."""
        self.owned.pop(partition, None)
        self.halted.discard(partition)
        self._quiet(partition)
        self.noted.add(partition)

    def halt(self, partition: Partition) -> None:
        """Stop this partition; an incident says why and how it goes on."""
        self.halted.add(partition)
        self._quiet(partition)

    def _quiet(self, partition: Partition) -> None:
        topic_partition = self.topic_partition(partition)
        if topic_partition in self._consumer.assignment():
            self._consumer.pause(topic_partition)
            # Seeking drops what the fetcher has buffered.
            self._consumer.seek(topic_partition, 0)


def _foreign_offset(group: str, partition: Partition) -> Incident:
    place = f"{partition.topic}-{partition.number}"
    return Incident(
        tenant_id="",
        kind="foreign-offset",
        fingerprint="foreign-offset",
        object_type="partition",
        object_id=f"{group}/{place}",
        summary=f"somebody moved group {group} on {place} in Kafka; its position is in PostgreSQL and did not move",
        cure=f"casestream offsets move --group {group} --topic {partition.topic} --partition {partition.number} --to-offset N",
    )
