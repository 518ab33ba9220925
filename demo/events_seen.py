"""Reading the events topic as any consumer may: this run's refusals, and whether each item's numbers come in order."""

from collections import Counter
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

from runtime.kafka import consumer, physical
from runtime.settings import Settings
from schemas.envelope import from_kafka
from schemas.types import parse
from schemas.work_items import WorkItemActionRefused

TOPIC = "work-items.events.v1"


@dataclass
class Seen:
    """What the topic says. `disorder`: events of an item that came before an earlier number's first delivery."""

    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    events: int = 0
    repeated: int = 0
    disorder: int = 0
    last: dict[str, int] = field(default_factory=dict)


class EventsReader:
    """Notes where the topic ends before a run; reads what the run added."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._from: dict[TopicPartition, int] = {}

    async def note_start(self) -> None:
        """Remember the present end."""
        reader = await self._open()
        try:
            self._from = await reader.end_offsets(list(self._from))
        finally:
            await reader.stop()

    async def read(self, command_ids: frozenset[str]) -> Seen:
        """Everything since the start, to the present end. Refusals count once per command of this run."""
        reader, seen, told = await self._open(), Seen(), set[str]()
        try:
            ends = await reader.end_offsets(list(self._from))
            reader.assign([place for place, end in ends.items() if end > self._from[place]])
            for place in reader.assignment():
                reader.seek(place, self._from[place])
            open_places = set(reader.assignment())
            while open_places:
                for place, records in (await reader.getmany(timeout_ms=500)).items():
                    for record in records:
                        self._take(seen, told, command_ids, record.value, record.headers)
                    if records and records[-1].offset + 1 >= ends[place]:
                        open_places.discard(place)
        finally:
            await reader.stop()
        return seen

    async def _open(self) -> AIOKafkaConsumer:
        reader = consumer(self._settings)
        await reader.start()
        topic = physical(self._settings, TOPIC)
        numbers = await reader._client._wait_on_metadata(topic) or set()
        self._from = self._from or {TopicPartition(topic, number): 0 for number in numbers}
        return reader

    def _take(self, seen: Seen, told: set[str], command_ids: frozenset[str], value: bytes | None, headers: object) -> None:
        event = from_kafka(value, headers)  # type: ignore[arg-type]
        seen.events += 1
        if event.sequence is not None:
            item = event.partitionkey or ""
            last = seen.last.get(item, 0)
            seen.repeated += event.sequence <= last
            seen.disorder += event.sequence > last + 1
            seen.last[item] = max(last, event.sequence)
        elif event.type == WorkItemActionRefused.TYPE:
            refusal = parse(event)
            assert isinstance(refusal, WorkItemActionRefused)
            if refusal.command_id in command_ids and refusal.command_id not in told:
                told.add(refusal.command_id)
                seen.refused[refusal.action or "", refusal.code] += 1
