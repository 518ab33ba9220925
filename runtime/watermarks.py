"""What Kafka knows that operators ask for: where partitions begin and end, which offset belongs to an instant, who is a
member of a group. Reads only; names are logical. Never a group's position: that is in PostgreSQL.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError, NotCoordinatorForGroupError

from runtime.kafka import admin, consumer, logical, physical
from runtime.settings import Settings
from runtime.topics import find_topics
from schemas.errors import TransientError
from schemas.registry import Place

_COORDINATOR_ATTEMPTS = 20
_PAUSE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a group as the broker sees it."""

    member: str
    instance: str
    host: str


@dataclass(frozen=True, slots=True)
class Membership:
    """The broker's state of a group (Stable, Empty, Dead ...) and its members."""

    state: str
    members: tuple[Member, ...]


class Watermarks:
    """Asks one broker connection; made by `watermarks`."""

    def __init__(self, settings: Settings, client: AIOKafkaAdminClient, reader: AIOKafkaConsumer) -> None:
        self._settings, self._admin, self._reader = settings, client, reader

    async def bounds(self, topics: Collection[str]) -> dict[Place, tuple[int, int]]:
        """First offset and end of every partition; a topic that does not exist has none."""
        found = await find_topics(self._admin, [physical(self._settings, topic) for topic in topics])
        places = [TopicPartition(name, number) for name, topic in found.items() for number in range(topic.partitions)]
        if not places:
            return {}
        begins, ends = await self._reader.beginning_offsets(places), await self._reader.end_offsets(places)
        return {self._logical(place): (begins[place], ends[place]) for place in places}

    async def offsets_at(self, places: Iterable[Place], instant: datetime) -> dict[Place, int]:
        """The first record of each partition at or after the instant; absent where there is none."""
        asked = {
            TopicPartition(physical(self._settings, topic), number): int(instant.timestamp() * 1000) for topic, number in places
        }
        found: Mapping[TopicPartition, Any] = await self._reader.offsets_for_times(asked) if asked else {}
        return {self._logical(place): answer.offset for place, answer in found.items() if answer is not None}

    async def membership(self, group: str) -> Membership:
        """Who is in the group now. One group per request: the client misreads an answer about several."""
        answer: Any = (await self._describe(physical(self._settings, group)))[0]
        _, _, state, _, _, members = answer.groups[0][:6]
        return Membership(state, tuple(Member(member[0], _instance_of(member[0]), member[2].lstrip("/")) for member in members))

    async def _describe(self, name: str) -> Any:
        """A broker that is new, or has just lost a coordinator, needs a moment to name one."""
        for _ in range(_COORDINATOR_ATTEMPTS):
            try:
                return await self._admin.describe_consumer_groups([name])
            except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
                await asyncio.sleep(_PAUSE_SECONDS)
        return await self._admin.describe_consumer_groups([name])

    def _logical(self, place: TopicPartition) -> Place:
        return Place(logical(self._settings, place.topic), place.partition)


def _instance_of(member_id: str) -> str:
    """A static member's id is its instance name and a uuid."""
    return member_id[:-37] if len(member_id) > 37 and member_id[-37] == "-" else member_id


@asynccontextmanager
async def watermarks(settings: Settings) -> AsyncIterator[Watermarks]:
    """Connected for the body. Raises TransientError when the brokers do not answer."""
    client, reader = admin(settings), consumer(settings)
    try:
        await client.start()
        await reader.start()
        yield Watermarks(settings, client, reader)
    except (KafkaError, ConnectionError) as error:
        raise TransientError(f"Kafka at {settings.kafka_bootstrap_servers} does not answer ({type(error).__name__})") from error
    finally:
        await reader.stop()
        await client.close()
