"""How far a member is behind, for people and for scaling: records and seconds, the worst of its partitions.

Measured every few seconds against the ends that Kafka names, so that a member which is stuck or stopped shows a growing
lag too. Wall clock times are only shown here, never decided upon.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
from aiokafka.errors import KafkaError

from processors.shell import metrics
from processors.shell.messages import Decoded
from processors.shell.offsets import Owned, Partition, queries

MEASURE_SECONDS = 5.0
_PATIENCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LagReading:
    """A member's distance from the ends. `applied_at`: the time of its youngest applied record, None before the first."""

    records: int
    seconds: float
    applied_at: datetime | None


Ends = Callable[[Sequence[Partition]], Awaitable[Mapping[Partition, int]]]


class LagGauge:
    """The lag metrics of one member. A partition that was let go loses its label; its new owner reports it."""

    def __init__(self, group: str, ends: Ends) -> None:
        self._group, self._ends = group, ends
        self._shown: set[Partition] = set()
        self._newest_ms: dict[Partition, float] = {}
        self._began = time.time() * 1000
        self.reading: LagReading | None = None

    def applied(self, items: Sequence[Decoded]) -> None:
        """A fetched batch was committed: remember how old each partition's youngest record is."""
        for item in items:
            position = item.record.position
            self._newest_ms[Partition(position.topic, position.partition)] = item.record.timestamp

    async def measure(self, pool: asyncpg.Pool, owned: Mapping[Partition, Owned]) -> None:
        """Ask Kafka for the ends and PostgreSQL for what is set aside; set the gauges. Raises what PostgreSQL raises."""
        positions = {partition: own.position for partition, own in owned.items()}
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                ends = await self._ends(list(positions)) if positions else {}
        except (KafkaError, TimeoutError):
            # A broker that is away must not hold up the loop for a number; the gauges keep their last reading.
            return
        for partition in self._shown - set(positions):
            metrics.lag_records.remove(self._group, partition.topic, str(partition.number))
        self._shown = set(positions)
        ages, records = [0.0], 0
        for partition, position in positions.items():
            lag = max(0, ends[partition] - position)
            records += lag
            metrics.lag_records.labels(self._group, partition.topic, str(partition.number)).set(lag)
            if lag:
                ages.append(self._age(partition))
        metrics.lag_seconds.labels(self._group).set(max(ages))
        youngest = max(self._newest_ms.values(), default=None)
        applied_at = None if youngest is None else datetime.fromtimestamp(youngest / 1000, UTC)
        self.reading = LagReading(records, max(ages), applied_at)
        places = {"topics": [part.topic for part in positions], "partitions": [part.number for part in positions]}
        row = await queries.count_set_aside(pool, group_name=self._group, **places)
        metrics.parked_keys.labels(self._group).set(row["parked_keys"])
        metrics.waiting.labels(self._group).set(row["waiting"])

    def _age(self, partition: Partition) -> float:
        """Since the partition's last applied record, or since this member began where it has applied none."""
        return max(0.0, time.time() - self._newest_ms.get(partition, self._began) / 1000)
