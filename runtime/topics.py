"""Topics on the broker: create what the registry wants and say what differs. Nothing here deletes or alters a topic.

Owns the mapping from `schemas.registry` to a broker's settings. Copies and minimum in-sync copies come from the
settings; a cell's prefix stands before every name.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from runtime.kafka import physical
from runtime.settings import Settings
from schemas.errors import ConfigurationError, TransientError
from schemas.registry import MAX_MESSAGE_BYTES, TOPICS, Group, Topic, dead_letter_topics

_EXISTS = 36
_READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it should be on the broker. `name` is logical."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as it is; only the settings that we care for."""

    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the registry says, and what mends it."""

    topic: str
    what: str
    expected: str
    found: str
    cure: str


def wanted_topics(settings: Settings, groups: Iterable[Group] | None = None) -> list[Wanted]:
    """Every topic of the registry with the dead letter topics of these groups, by default the registry's."""
    return as_wanted(settings, [*TOPICS.values(), *dead_letter_topics(groups)])


def as_wanted(settings: Settings, topics: Iterable[Topic]) -> list[Wanted]:
    """These topics as the settings want them on the broker."""
    common = {
        "cleanup.policy": "delete",
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
        "min.insync.replicas": str(settings.kafka.min_insync_replicas),
        "unclean.leader.election.enable": "false",
    }
    return [
        Wanted(
            topic.name,
            topic.partitions,
            settings.kafka.replication_factor,
            {**common, "retention.ms": str(topic.retention_ms)},
        )
        for topic in topics
    ]


async def apply(admin: AIOKafkaAdminClient, settings: Settings, wanted: Sequence[Wanted] | None = None) -> list[str]:
    """Create what is missing of these topics, by default the registry's, and wait for leaders; the logical names created.

    Raises ConfigurationError with every refusal of the broker, TransientError when leaders stay away.
    """
    names = set(await admin.list_topics())
    topics = wanted_topics(settings) if wanted is None else wanted
    missing = [topic for topic in topics if physical(settings, topic.name) not in names]
    if not missing:
        return []
    answer: Any = await admin.create_topics(
        [NewTopic(physical(settings, t.name), t.partitions, t.replication, topic_configs=dict(t.config)) for t in missing]
    )
    refused = [(name, code, text) for name, code, text, *_ in answer.topic_errors if code not in (0, _EXISTS)]
    if refused:
        raise ConfigurationError(
            [f"topic {name}: the broker refused it with {for_code(code).__name__}: {text}" for name, code, text in refused]
        )
    # Somebody else may have created one meanwhile: it is what it is, and `diff` tells.
    created = {name for name, code, *_ in answer.topic_errors if code == 0}
    ours = [topic for topic in missing if physical(settings, topic.name) in created]
    await wait_for_leaders(admin, {physical(settings, topic.name): topic.partitions for topic in ours})
    return [topic.name for topic in ours]


async def diff(admin: AIOKafkaAdminClient, settings: Settings, wanted: Sequence[Wanted] | None = None) -> list[Difference]:
    """Where the broker differs from these topics, by default the registry's: missing ones, partitions, copies, settings."""
    wanted = wanted_topics(settings) if wanted is None else wanted
    found = await find_topics(admin, [physical(settings, topic.name) for topic in wanted])
    return [line for topic in wanted for line in _differences(topic, found.get(physical(settings, topic.name)), settings)]


async def find_topics(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, Found]:
    """The topics that exist among these physical names."""
    present = sorted(set(names) & set(await admin.list_topics()))
    if not present:
        return {}
    described = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics(present)}
    config = await _read_config(admin, present)
    return {
        name: Found(len(partitions), min((len(each["replicas"]) for each in partitions), default=0), config[name])
        for name, partitions in described.items()
    }


async def wait_for_leaders(admin: AIOKafkaAdminClient, partitions: Mapping[str, int]) -> None:
    """Until every partition of these topics (physical name -> count) has a leader. Raises TransientError after 30 s."""
    deadline = time.monotonic() + _READY_SECONDS
    while not await _have_leaders(admin, partitions):
        if time.monotonic() > deadline:
            raise TransientError(f"no leader after {_READY_SECONDS:g} s for one of {', '.join(sorted(partitions))}")
        await asyncio.sleep(0.1)


async def _have_leaders(admin: AIOKafkaAdminClient, partitions: Mapping[str, int]) -> bool:
    try:
        described = await admin.describe_topics(list(partitions))
    except KafkaError:
        return False
    led = {
        topic["topic"]: sum(each["leader"] >= 0 and each["error_code"] == 0 for each in topic["partitions"])
        for topic in described
    }
    return all(led.get(name, 0) >= count for name, count in partitions.items())


async def _read_config(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    answers: list[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    return {
        name: {entry[0]: entry[1] for entry in entries}
        for answer in answers
        for _code, _text, _kind, name, entries in answer.resources
    }


def _differences(topic: Wanted, found: Found | None, settings: Settings) -> list[Difference]:
    name = physical(settings, topic.name)
    if found is None:
        return [Difference(name, "topic", "exists", "missing", "casestream topics apply")]
    lines = []
    if found.partitions < topic.partitions:
        cure = f"casestream topics grow {topic.name} --partitions {topic.partitions}"
        lines.append(Difference(name, "partitions", str(topic.partitions), str(found.partitions), cure))
    elif found.partitions > topic.partitions:
        # A plain increase may have put a key's events out of order: nobody should overlook it.
        cure = "if it was grown by casestream topics grow, write the new count into schemas/registry.py"
        lines.append(Difference(name, "partitions", str(topic.partitions), str(found.partitions), cure))
    if found.replication != topic.replication:
        cure = "kafka-reassign-partitions"
        lines.append(Difference(name, "copies", str(topic.replication), str(found.replication), cure))
    for key, value in sorted(topic.config.items()):
        if found.config.get(key) != value:
            cure = f"kafka-configs --alter --topic {name} --add-config {key}={value}"
            lines.append(Difference(name, key, value, found.config.get(key, "unset"), cure))
    return lines
