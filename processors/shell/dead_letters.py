"""The copy of a parked message on `<topic>.<group>.dlt`: same partition, original bytes, text headers `dlt-*`.

For eyes only: the truth is the parked row. The copy is awaited before the batch commits; a second copy is harmless.
"""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from processors.shell.messages import Poison
from runtime.kafka import physical, producer
from runtime.settings import Settings
from schemas.errors import TransientError
from schemas.registry import dlt_topic


class DeadLetterTopic:
    """Producer of one group's copies, connected at the first one."""

    def __init__(self, settings: Settings, group: str) -> None:
        self._settings, self._group = settings, group
        self._producer: AIOKafkaProducer | None = None

    async def copy(self, parked: Sequence[Poison]) -> None:
        """Send and await all copies. Raises TransientError when the broker does not take them: the batch repeats."""
        try:
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
        record = poison.record
        topic = physical(self._settings, dlt_topic(record.position.topic, self._group))
        headers = [*record.headers, *self._headers(poison)]
        try:
            sent = await client.send(topic, record.value, record.key, record.position.partition, record.timestamp, headers)
        except MessageSizeTooLargeError:
            # The parked row has it whole; the copy says where it is.
            headers.append(("dlt-value-omitted", b"true"))
            sent = await client.send(topic, None, record.key, record.position.partition, record.timestamp, headers)
        await sent

    def _headers(self, poison: Poison) -> list[tuple[str, bytes]]:
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
        """Let the connection go; the next copy opens another."""
        client, self._producer = self._producer, None
        if client is not None:
            await client.stop()
