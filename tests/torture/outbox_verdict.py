"""What reached Kafka, judged against the oracle: lost events, inversions per key, duplicates."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from aiokafka import TopicPartition

from runtime import kafka
from runtime.settings import Settings


@dataclass(frozen=True)
class Verdict:
    """Counts over all keys. `invented` are events that nobody committed."""

    events: int
    lost: int
    inversions: int
    duplicates: int
    invented: int

    @property
    def sound(self) -> bool:
        return not (self.lost or self.inversions or self.invented)

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def judge(committed: Mapping[str, int], published: Iterable[tuple[str, int]]) -> Verdict:
    """`committed`: the highest number per key. `published`: (key, number) in the order of each key's partition.

    An inversion is an event that first appears after a later one of its key: no consumer could put that right.
    """
    seen: dict[str, set[int]] = defaultdict(set)
    highest: Counter[str] = Counter()
    inversions = duplicates = 0
    for name, number in published:
        if number in seen[name]:
            duplicates += 1
            continue
        inversions += number < highest[name]
        seen[name].add(number)
        highest[name] = max(highest[name], number)
    lost = sum(count - len(seen[name].intersection(range(1, count + 1))) for name, count in committed.items())
    invented = sum(number > committed.get(name, 0) for name, numbers in seen.items() for number in numbers)
    return Verdict(sum(committed.values()), lost, inversions, duplicates, invented)


async def read_topic(settings: Settings, topic: str) -> list[tuple[str, int]]:
    """Every record of the topic as (aggregate, number), partition after partition, up to the end as it is now."""
    reader = kafka.consumer(settings)
    await reader.start()
    try:
        physical = kafka.physical(settings, topic)
        parts = sorted(await reader._client._wait_on_metadata(physical))
        targets = [TopicPartition(physical, part) for part in parts]
        reader.assign(targets)
        ends = await reader.end_offsets(targets)
        found = []
        for target in targets:
            reader.seek(target, 0)
        left = {target for target in targets if ends[target] > 0}
        while left:
            for target, records in (await reader.getmany(*left, timeout_ms=1000, max_records=5000)).items():
                found += [_event(record) for record in records]
                if records and records[-1].offset + 1 >= ends[target]:
                    left.discard(target)
        return found
    finally:
        await reader.stop()


def _event(record: Any) -> tuple[str, int]:
    return record.key.decode().rpartition("|")[2], orjson.loads(record.value)["number"]
