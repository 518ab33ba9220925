"""Topics of one test: a random prefix (a cell of its own), so that tests share one broker and nothing on it."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.registry import MAX_MESSAGE_BYTES, TOPICS, dead_letter_topics
from tests.waiting import until


@dataclass
class FreshKafka:
    """The session's broker as one test sees it. `prefix` is the setting CASESTREAM_TOPIC_PREFIX."""

    bootstrap_servers: str
    prefix: str = field(default_factory=lambda: f"t{secrets.token_hex(4)}.")

    def topic(self, name: str) -> str:
        """The physical name of a registry's topic (or any other) for this test."""
        return self.prefix + name

    def group(self, name: str) -> str:
        """A consumer group id that no other test uses."""
        return self.prefix + name

    async def create_topics(self, names: Iterable[str], partitions: int = 4, config: dict[str, str] | None = None) -> list[str]:
        """Creates these topics with the registry's retention and returns their physical names when all have leaders."""
        wanted = [NewTopic(self.topic(name), partitions, 1, topic_configs=_registered(name) | (config or {})) for name in names]
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        await admin.start()
        try:
            _check(await admin.create_topics(wanted))
            created = [topic.name for topic in wanted]
            await until(lambda: _have_leaders(admin, created), what=f"leaders of {created}")
            return created
        finally:
            await admin.close()

    async def delete_topics(self) -> None:
        """Deletes every topic with this test's prefix, whoever created it."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        await admin.start()
        try:
            ours = [name for name in await admin.list_topics() if name.startswith(self.prefix)]
            if ours:
                await admin.delete_topics(ours)
        finally:
            await admin.close()


def _registered(name: str) -> dict[str, str]:
    known = {**TOPICS, **{topic.name: topic for topic in dead_letter_topics()}}
    retention = {"retention.ms": str(known[name].retention_ms)} if name in known else {}
    return {"max.message.bytes": str(MAX_MESSAGE_BYTES), **retention}


async def _have_leaders(admin: AIOKafkaAdminClient, names: list[str]) -> bool:
    described = await admin.describe_topics(names)
    partitions = [partition for topic in described for partition in topic["partitions"]]
    return (
        bool(partitions)
        and all(topic["error_code"] == 0 and topic["partitions"] for topic in described)
        and all(partition["error_code"] == 0 and partition["leader"] >= 0 for partition in partitions)
    )


def _check(response: object) -> None:
    refused = [error for error in getattr(response, "topic_errors", []) if error[1] != 0]
    if refused:
        raise RuntimeError(f"topics were refused: {refused}")
