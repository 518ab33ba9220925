"""A topic as any consumer may read it: where it ended before a run, and what the run added."""

from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from runtime.kafka import consumer, physical
from runtime.settings import Settings


class TopicReader:
    """Notes where the topic ends before a run; reads what the run added."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings, self._topic = settings, physical(settings, topic)
        self._from: dict[TopicPartition, int] = {}

    async def note_start(self) -> None:
        """Remember the present end."""
        reader = await self._open()
        try:
            self._from = await reader.end_offsets(list(self._from))
        finally:
            await reader.stop()

    async def records(self) -> AsyncIterator[Any]:
        """Everything since the start, to the present end."""
        reader = await self._open()
        try:
            ends = await reader.end_offsets(list(self._from))
            reader.assign([place for place, end in ends.items() if end > self._from[place]])
            for place in reader.assignment():
                reader.seek(place, self._from[place])
            open_places = set(reader.assignment())
            while open_places:
                for place, records in (await reader.getmany(timeout_ms=500)).items():
                    for record in records:
                        yield record
                    if records and records[-1].offset + 1 >= ends[place]:
                        open_places.discard(place)
        finally:
            await reader.stop()

    async def _open(self) -> AIOKafkaConsumer:
        reader = consumer(self._settings)
        await reader.start()
        numbers = await reader._client._wait_on_metadata(self._topic) or set()
        self._from = self._from or {TopicPartition(self._topic, number): 0 for number in numbers}
        return reader
