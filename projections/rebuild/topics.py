"""What the broker knows that a rebuild needs: bounds and settings of topics, and the numbers of events behind an offset.

Reads only. Topics and places are logical names. Decides nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from domain.rebuilds.decisions import TopicFacts
from projections.rebuild import verdicts
from runtime.kafka import admin, consumer, logical, physical
from runtime.settings import Settings
from runtime.topics import find_topics
from schemas.errors import TransientError
from schemas.registry import Place

_POLL_MS = 200
_PAGE = 5_000


class Broker:
    """One connection to the brokers; made by `broker`."""

    def __init__(self, settings: Settings, client: AIOKafkaAdminClient, reader: AIOKafkaConsumer) -> None:
        self._settings, self._admin, self._reader = settings, client, reader

    async def ends(self, topics: Collection[str]) -> dict[Place, int]:
        """The end of every partition now."""
        return {place: end for place, (_, end) in (await self._bounds(topics)).items()}

    async def facts(self, topics: Collection[str], positions: Mapping[Place, int]) -> list[TopicFacts]:
        """Each topic with its bounds and settings; `positions` are the serving version's."""
        found = await find_topics(self._admin, [physical(self._settings, topic) for topic in topics])
        bounds = await self._bounds(topics)
        return [self._facts(topic, found, bounds, positions) for topic in topics]

    def _facts(
        self, topic: str, found: Mapping[str, Any], bounds: Mapping[Place, tuple[int, int]], positions: Mapping[Place, int]
    ) -> TopicFacts:
        known = found.get(physical(self._settings, topic))
        config: Mapping[str, str] = {} if known is None else known.config
        return TopicFacts(
            topic,
            {place.partition: both for place, both in bounds.items() if place.topic == topic},
            config.get("cleanup.policy", "delete"),
            int(config.get("retention.ms", "-1")),
            {place.partition: position for place, position in positions.items() if place.topic == topic},
        )

    async def _bounds(self, topics: Collection[str]) -> dict[Place, tuple[int, int]]:
        found = await find_topics(self._admin, [physical(self._settings, topic) for topic in topics])
        places = [TopicPartition(name, number) for name, topic in found.items() for number in range(topic.partitions)]
        if not places:
            return {}
        begins, ends = await self._reader.beginning_offsets(places), await self._reader.end_offsets(places)
        return {self._logical(place): (begins[place], ends[place]) for place in places}

    async def events_between(
        self, starts: Mapping[Place, int], ends: Mapping[Place, int], wanted: Collection[verdicts.Place]
    ) -> set[verdicts.Place]:
        """Which of the wanted events lie from `starts` on, up to `ends`. Their values are not looked at.

        The others are not kept: while whole tables were compared, an hour's events may have come.
        """
        left = {self._physical(place): ends[place] for place, start in starts.items() if start < ends[place]}
        found: set[verdicts.Place] = set()
        sought = frozenset(wanted)
        if not left:
            return found
        self._reader.assign(list(left))
        try:
            for place in left:
                self._reader.seek(place, starts[self._logical(place)])
            while left:
                batch = await self._reader.getmany(*left, timeout_ms=_POLL_MS, max_records=_PAGE)
                found |= {event for records in batch.values() for event in _events(records) if event in sought}
                for place in list(left):
                    # The position passes the markers of transactions, which are no records.
                    if await self._reader.position(place) >= left[place]:
                        del left[place]
        finally:
            self._reader.unsubscribe()
        return found

    def _physical(self, place: Place) -> TopicPartition:
        return TopicPartition(physical(self._settings, place.topic), place.partition)

    def _logical(self, place: TopicPartition) -> Place:
        return Place(logical(self._settings, place.topic), place.partition)


def _events(records: Iterable[Any]) -> Iterable[verdicts.Place]:
    for record in records:
        sequence = next((value for name, value in record.headers if name == "ce_sequence" and value), b"")
        # `tenant|type|id`: only the id may hold anything but these bars, and it holds none either.
        parts = (record.key or b"").decode("utf-8", "replace").split("|")
        if sequence.isdigit() and len(parts) == 3:
            yield verdicts.Place(parts[0], parts[2], int(sequence))


@asynccontextmanager
async def broker(settings: Settings) -> AsyncIterator[Broker]:
    """Connected for the body. Raises TransientError when the brokers do not answer."""
    client, reader = admin(settings), consumer(settings)
    try:
        await asyncio.gather(client.start(), reader.start())
        yield Broker(settings, client, reader)
    except (KafkaError, ConnectionError) as error:
        raise TransientError(f"Kafka at {settings.kafka_bootstrap_servers} does not answer ({type(error).__name__})") from error
    finally:
        await reader.stop()
        await client.close()
