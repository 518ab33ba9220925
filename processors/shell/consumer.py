"""The loop of one consumer group member: steps 1 and 9 around the batch, takeover, orders, gaps, stop (P1, P4, P5).

    assigned -> noted -> taken (epoch raised) -> fetch -> batch commits -> position -> mirror to Kafka
                  ^                                  |
                  +------ broker still says ours ----+-- fence lost --> broker refuses: let go

Between fetches, once a second, it does what operators ordered (redrive, discard), closes gaps that may be closed, and
looks whether its group was stopped. Never sleeps in a batch, never trusts Kafka's offset.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol, TypeVar

import asyncpg
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CorruptRecordException, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord

from processors.shell import metrics
from processors.shell.assignment import Assignment
from processors.shell.batch import Batch, BatchApplier, next_offsets
from processors.shell.committing import Committer, Stopping
from processors.shell.dead_letters import DeadLetterTopic
from processors.shell.fetching import MOST_PORTIONS, POLL_MS, Fetched, fetch, in_turns, portions
from processors.shell.gaps import GapWatch
from processors.shell.lag import MEASURE_SECONDS, LagGauge, LagReading
from processors.shell.messages import Decoded, Position, Record
from processors.shell.offsets import LostFence, Partition
from processors.shell.ownership import Ownership
from processors.shell.park_rate import ParkRate
from processors.shell.plan import Outcome
from processors.shell.processor import Processor
from processors.shell.rounds import Rounds
from runtime.failpoints import reach
from runtime.kafka import admin, consumer, leave, physical
from runtime.logging import get_logger
from runtime.pauses import pause
from runtime.postgres import KEY_LOOKUPS, is_transient, open_pool
from runtime.settings import Settings

log = get_logger(__name__)
Answer = TypeVar("Answer")
ROUND_SECONDS = 1.0
FAILED_ROUND_SECONDS = 10.0
HOPELESS_SECONDS = 30.0
MIRROR_SECONDS = 0.5
WAIT_SECONDS = 0.5


class Pace(Protocol):
    """How fast a member may be. What it owes is waited for between batches, while its other duties go on."""

    def owed(self) -> float: ...

    def spend(self, records: int) -> None: ...


class GroupMember:
    """One member of one group. `instance` is its static membership name: restarted under it, it gets its partitions back."""

    def __init__(
        self,
        settings: Settings,
        processor: Processor[Any, Any],
        instance: str,
        stop: asyncio.Event,
        pace: Pace | None = None,
    ) -> None:
        self.settings, self.processor, self.group, self.stop = settings, processor, processor.group.name, stop
        self._instance, self._pace = instance, pace
        self._joined = False
        self._next_round = self._next_mirror = 0.0
        self._failing_since: float | None = None
        self._consumer: AIOKafkaConsumer
        self._assignment: Assignment
        self._ownership: Ownership
        self._lag: LagGauge
        self._rounds: Rounds
        self._pool: asyncpg.Pool

    async def run(self) -> None:
        """Until `stop`: then the running batch is finished, offsets are mirrored, and the member leaves."""
        async with AsyncExitStack() as stack:
            try:
                await self._connect(stack)
                measuring = asyncio.create_task(self._measure())
                stack.callback(measuring.cancel)
                while not self.stop.is_set():
                    await self._turn()
            except Stopping:
                log.info("leaving", group=self.group)
            if self._joined:
                await self._ownership.mirror()

    async def _turn(self) -> None:
        """One round through the duties; trouble that passes is waited for. Raises Stopping, and what a restart must cure."""
        clock = asyncio.get_running_loop().time
        try:
            await self._assignment.take_noted(self._pool, self._admin)
            if self._rounds.stopped:
                self._ownership.hold()
            if clock() >= self._next_round:
                # Noted first: a round that fails must not keep the messages waiting for it.
                self._next_round = clock() + FAILED_ROUND_SECONDS
                await self._pass_holes()
                await self._rounds.go(dict(self._assignment.owned))
                self._next_round = clock() + ROUND_SECONDS
            await self._poll_in_pace()
            self._failing_since = None
            if clock() >= self._next_mirror:
                await self._ownership.mirror()
                self._next_mirror = clock() + MIRROR_SECONDS
        except LostFence as lost:
            self._assignment.rewind()
            await self._ownership.on_lost_fence(lost.partitions)
        except Exception as error:
            if not (is_transient(error) or isinstance(error, KafkaError)):
                raise
            log.warning("waiting for PostgreSQL or Kafka", group=self.group, error=error)
            self._refuse_dead_client(error)
            self._assignment.rewind()
            await pause(self.stop, WAIT_SECONDS)

    async def _poll_in_pace(self) -> None:
        owed = self._pace.owed() if self._pace is not None else 0.0
        if owed > 0:
            await self._unless_stopping(asyncio.sleep(min(owed, POLL_MS / 1000)))
        else:
            await self._poll()

    def _refuse_dead_client(self, error: Exception) -> None:
        """A client whose coordination ended says the same for ever (a revoked right, a bug): only a new one can mend it."""
        now = asyncio.get_running_loop().time()
        if not isinstance(error, KafkaError) or error.retriable:
            return
        self._failing_since = self._failing_since or now
        if now - self._failing_since > HOPELESS_SECONDS:
            raise error

    async def _measure(self) -> None:
        """Beside the loop, so that a batch that cannot commit shows as lag."""
        while True:
            try:
                await self._lag.measure(self._pool, dict(self._assignment.owned))
            except Exception as error:  # noqa: BLE001 - a number that cannot be had now
                log.info("lag not measured", group=self.group, error=error)
            await asyncio.sleep(MEASURE_SECONDS)

    async def _connect(self, stack: AsyncExitStack) -> None:
        self._pool = await self._unless_stopping(open_pool(self.settings, "worker", size=3, reset=False, planner=KEY_LOOKUPS))
        stack.push_async_callback(self._pool.close)
        dead_letters = DeadLetterTopic(self.settings, self.group)
        stack.push_async_callback(dead_letters.close)
        self._applier = BatchApplier(self.processor, self._pool, dead_letters, self.settings.decode_limit_bytes)
        self._committer = Committer(self._apply, self._committed, self.stop)
        self._admin = admin(self.settings)
        await self._start(self._admin)
        stack.push_async_callback(self._admin.close)
        self._consumer = consumer(self.settings, self.group, self._instance)
        self._assignment = Assignment(self.settings, self.group, self._instance, self._consumer)
        self._ownership = Ownership(self.group, self._assignment, self._consumer, self._pool)
        self._lag = LagGauge(self.group, self._ownership.end_offsets)
        gaps = GapWatch(self.group, self.settings.ce_source, self.processor.sequences, self._ownership.end_offsets)
        rate = ParkRate(self.settings.parking.stop_count, self.settings.parking.stop_share)
        self._rounds = Rounds(self._pool, self._applier, self._committer, self._ownership, gaps, rate)
        topics = [physical(self.settings, topic) for topic in self.processor.group.topics]
        self._consumer.subscribe(topics, listener=self._assignment)
        await self._start(self._consumer)
        self._joined = True
        stack.push_async_callback(leave, self._consumer)

    @property
    def ready(self) -> bool:
        """Whether the member has joined its group and taken the partitions that it was given."""
        return self._joined and self._assignment.settled

    @property
    def lag(self) -> LagReading | None:
        """What was measured last; None before the first time."""
        return self._lag.reading if self._joined else None

    async def _start(self, client: Any) -> None:
        while True:
            try:
                await self._unless_stopping(client.start())
                return
            except (KafkaError, OSError) as error:
                if self.stop.is_set():
                    # A refusal is as fast as the stop: without this look the two would race for ever.
                    raise Stopping from error
                log.warning("waiting for Kafka", group=self.group, error=error)
                await pause(self.stop, WAIT_SECONDS)

    async def _unless_stopping(self, answer: Coroutine[Any, Any, Answer]) -> Answer:
        """What is awaited; the clients' own waits for an absent server have no end. Raises Stopping."""
        asking, stopping = asyncio.ensure_future(answer), asyncio.ensure_future(self.stop.wait())
        await asyncio.wait({asking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if asking.done():
            return asking.result()
        asking.cancel()
        raise Stopping

    async def _poll(self) -> None:
        try:
            # Who has a pace owes after each batch.
            most = self.settings.consumer.batch_max_records * (1 if self._pace is not None else MOST_PORTIONS)
            fetched = await self._unless_stopping(fetch(self._consumer, most, self._assignment.rewind))
        except NoOffsetForPartitionError:
            return  # the fetcher looked before the partition was taken; taking it sets the position
        except OffsetOutOfRangeError as error:
            await self._ownership.on_out_of_range(error)
            return
        except Exception as error:
            # KafkaErrors and lost connections pass; what is left was raised while a fetched batch was unpacked.
            if not isinstance(error, CorruptRecordException) and (
                is_transient(error) or isinstance(error, (KafkaError, Stopping))
            ):
                raise
            await self._on_unreadable(error)
            return
        await self._take({self._assignment.partition(place): batch for place, batch in fetched.items()})

    async def _take(self, fetched: Fetched[Partition]) -> None:
        """Commit what was fetched, batch by batch; while one waits for PostgreSQL, the next is decoded."""
        items: Sequence[Decoded] = []
        for portion in portions(fetched, self.settings.consumer.batch_max_records):
            _, items = await asyncio.gather(self._commit(items, next_offsets(items)), in_turns(portion, self._decoded))
        await self._commit(items, await self._behind(items))

    async def _commit(self, items: Sequence[Decoded], nexts: Mapping[Partition, int]) -> None:
        if items:
            await reach("shell.after-fetch")
            await self._committer.commit(Batch(items, nexts))
            if self._pace is not None:
                self._pace.spend(len(items))

    async def _on_unreadable(self, error: Exception) -> None:
        self._assignment.rewind()
        readable = await self._ownership.on_unreadable()
        if not (readable or isinstance(error, CorruptRecordException)):
            raise error
        await self._take(readable)

    async def _behind(self, items: Sequence[Decoded]) -> dict[Partition, int]:
        """Where the client stands after these items: past a transaction's markers, which are offsets without a record."""
        return {
            partition: max(reached, int(await self._consumer.position(self._assignment.topic_partition(partition))))
            for partition, reached in next_offsets(items).items()
        }

    async def _pass_holes(self) -> None:
        """Follow the client over offsets without a record for us: markers, aborted transactions. Nothing is in flight now."""
        holes = {}
        for partition, own in self._assignment.owned.items():
            if partition not in self._assignment.halted:
                position = await self._consumer.position(self._assignment.topic_partition(partition))
                if position > own.position:
                    holes[partition] = int(position)
        if holes:
            await self._committer.commit(Batch([], holes))

    def _decoded(self, partition: Partition, fetched: Sequence[ConsumerRecord[bytes, bytes]]) -> list[Decoded]:
        """Without what was fetched before the partition was lost, or again after it was taken."""
        own = self._assignment.owned.get(partition)
        if own is None:
            return []
        topic, number, decode = partition.topic, partition.number, self._applier.decode
        return [
            decode(
                Record(Position(topic, number, at), one.key, one.value, tuple(one.headers), one.timestamp, own.was_handled(at))
            )
            for one in fetched
            if (at := one.offset) >= own.position
        ]

    async def _apply(self, batch: Batch) -> Outcome:
        owned = self._assignment.owned
        if missing := [partition for partition in batch.nexts if partition not in owned]:
            raise LostFence(missing)
        with metrics.batch_seconds.labels(self.group).time():
            return await self._applier.apply(dict(owned), batch)

    def _committed(self, batch: Batch, outcome: Outcome) -> None:
        for partition, position in batch.nexts.items():
            if partition in self._assignment.owned:
                self._assignment.owned[partition].position = position
        if batch.items and not (batch.redriven or batch.unwaited):
            self._lag.applied(batch.items)
        metrics.applied.labels(self.group).inc(len(outcome.applied))
        metrics.duplicates.labels(self.group).inc(outcome.duplicates)
        metrics.parked.labels(self.group).inc(len(outcome.parked))
        newly = 0 if batch.redriven else len(outcome.poisoned)
        self._rounds.count(asyncio.get_running_loop().time(), len(batch.items), newly)
