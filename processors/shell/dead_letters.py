"""The copy of a parked message on `<topic>.<group>.dlt`: same partition, original bytes, text headers `dlt-*`.

For eyes only: the truth is the parked row. The copy is awaited before the batch commits; a second copy is harmless.
"""

import asyncio
from collections.abc import Iterator, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from processors.shell import metrics
from processors.shell.messages import Poison
from runtime.kafka import abandon, physical, producer
from runtime.settings import Settings
from schemas.errors import TransientError
from schemas.registry import dlt_topic

# Well below the time that a transaction may stand idle.
PATIENCE_SECONDS = 3.0


class DeadLetterTopic:
    """Producer of one group's copies, connected at the first one."""

    def __init__(self, settings: Settings, group: str) -> None:
        self._settings, self._group = settings, group
        self._producer: AIOKafkaProducer | None = None

    async def copy(self, parked: Sequence[Poison]) -> None:
        """Send and await all copies. Raises TransientError when the broker does not take them in time: the batch repeats."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                client = await self._client()
                await asyncio.gather(*(self._send(client, poison) for poison in parked))
        except (KafkaError, OSError) as error:
            await self.close()
            raise TransientError("the dead letter copy was not acknowledged: the batch repeats") from error

    async def _client(self) -> AIOKafkaProducer:
        if self._producer is None:
            client = producer(self._settings)
            await client.start()
            self._producer = client
        return self._producer

    async def _send(self, client: AIOKafkaProducer, poison: Poison) -> None:
        """As much of the record as the broker takes; the parked row has it whole. What is refused in every form is left out."""
        record = poison.record
        topic = physical(self._settings, dlt_topic(record.position.topic, self._group))
        known = await client.partitions_for(topic)
        partition = record.position.partition if record.position.partition in known else None
        for value, headers in self._forms(poison):
            try:
                await (await client.send(topic, value, record.key, partition, record.timestamp, headers))
            except MessageSizeTooLargeError:
                continue
            return
        metrics.copies_omitted.labels(self._group).inc()

    def _forms(self, poison: Poison) -> Iterator[tuple[bytes | None, list[tuple[str, bytes | None]]]]:
        record, ours = poison.record, self._headers(poison)
        omitted = ("dlt-value-omitted", b"true")
        # Without key and value a client sends nothing at all: an empty value stands for both.
        empty = b"" if record.key is None else None
        yield record.value if record.value is not None else empty, [*record.headers, *ours]
        yield empty, [*record.headers, *ours, omitted]
        yield empty, [*ours, omitted]

    def _headers(self, poison: Poison) -> list[tuple[str, bytes | None]]:
        position = poison.record.position
        text = {
            "dlt-original-topic": position.topic,
            "dlt-original-partition": str(position.partition),
            "dlt-original-offset": str(position.offset),
            "dlt-original-timestamp": str(poison.record.timestamp),
            "dlt-consumer-group": self._group,
            "dlt-reason": poison.reason,
            "dlt-fingerprint": poison.fingerprint,
            "dlt-error": poison.error[:4096],
        }
        return [(name, value.encode()) for name, value in text.items()]

    async def close(self) -> None:
        """Let the connection go, without waiting for what it still has; the next copy opens another."""
        client, self._producer = self._producer, None
        if client is not None:
            await abandon(client)
