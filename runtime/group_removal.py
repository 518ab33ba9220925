"""What a group that is gone for good leaves on the broker, removed: its dead letter topics and its mirrored offsets.

Only table versions go for good: their numbers are never taken again. The copies in a dead letter topic are for eyes, and
the parked rows that they are copies of went with the group's positions in PostgreSQL.
"""

from typing import Any

from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import DeleteGroupsRequest

from runtime.kafka import admin, physical
from runtime.settings import Settings
from schemas.registry import Group, dead_letter_topics

# Kafka's codes of a topic and of a group that are not there: somebody removed them before.
_GONE = (3, 69)


async def remove_group(settings: Settings, group: Group) -> list[str]:
    """Delete them, as often as it is asked for; what had to stay, and why. Raises KafkaError when no broker answers.

    A group stays while it has members: a static one that has left counts until its session ends.
    """
    client = admin(settings)
    try:
        await client.start()
        names = [physical(settings, topic.name) for topic in dead_letter_topics([group])]
        present = sorted(set(names) & set(await client.list_topics()))
        answer: Any = await client.delete_topics(present) if present else None
        refused = [] if answer is None else [(name, code) for name, code, *_ in answer.topic_error_codes]
        name = physical(settings, group.name)
        # The client can describe groups, not delete them; its request is there.
        coordinator = await client.find_coordinator(name)
        answer = await client._send_request(DeleteGroupsRequest([name]), coordinator)
        results = [(name, code) for name, code in (*refused, *answer.results) if code and code not in _GONE]
        return [f"{name} stays: {for_code(code).__name__}" for name, code in results]
    except OSError as error:
        raise KafkaError(str(error)) from error
    finally:
        await client.close()
