"""Kafka clients with the settings that the defaults get wrong, and the edge where a cell's topic prefix is added.

Owns the three factories and the names' edge: inside, topics and groups have their logical names (`schemas.registry`);
only clients see the physical ones. Clients come back unstarted; whoever starts one stops it. Never creates a topic.
"""

import asyncio
import ssl
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from runtime import tolerant_records
from runtime.settings import KafkaSettings, Settings
from schemas.errors import ConfigurationError
from schemas.registry import MAX_MESSAGE_BYTES

# Keys, headers and the record's own frame around a value of the largest size.
_FRAME_BYTES = 64 * 1024
_BATCH_BYTES = 1024 * 1024
_FETCH_BYTES = 16 * 1024 * 1024
METADATA_AGE_MS = 30_000
_PRODUCE_TIMEOUT_MS = 10_000
_END_LOOK_SECONDS = 0.02


def physical(settings: Settings, topic: str) -> str:
    """The topic's (or group's) name on the broker: the cell's prefix and the logical name."""
    return settings.topic_prefix + topic


def logical(settings: Settings, topic: str) -> str:
    """The inverse of `physical`. Raises ValueError for a name of another cell."""
    if not topic.startswith(settings.topic_prefix):
        raise ValueError(f"topic {topic!r} does not begin with this cell's prefix {settings.topic_prefix!r}")
    return topic[len(settings.topic_prefix) :]


def producer(settings: Settings) -> AIOKafkaProducer:
    """Idempotent, acknowledged by all in-sync replicas, without linger: a caller that wants batches builds them."""
    return AIOKafkaProducer(
        **_access(settings),
        client_id=f"casestream-{settings.instance}",
        enable_idempotence=True,
        acks="all",
        compression_type="lz4",
        linger_ms=0,
        max_batch_size=_BATCH_BYTES,
        max_request_size=MAX_MESSAGE_BYTES + _FRAME_BYTES,
        request_timeout_ms=_PRODUCE_TIMEOUT_MS,
        # Twice a second is enough while a broker is away; every attempt logs.
        retry_backoff_ms=250,
        metadata_max_age_ms=METADATA_AGE_MS,
    )


def consumer(settings: Settings, group: str | None = None, instance: str | None = None) -> AIOKafkaConsumer:
    """A member of `group` (logical name), static under the name `instance`; without a group a plain reader.

    Its position is never Kafka's: commits are manual and an offset out of range raises instead of jumping.
    """
    tolerant_records.install()
    session_ms = settings.kafka.session_timeout_ms
    return AIOKafkaConsumer(
        **_access(settings),
        client_id=f"casestream-{settings.instance}",
        group_id=None if group is None else physical(settings, group),
        group_instance_id=instance,
        enable_auto_commit=False,
        auto_offset_reset="none",
        partition_assignment_strategy=(StickyPartitionAssignor,),
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=settings.kafka.heartbeat_ms,
        # A member that died in a rebalance must not hold the others longer than its session.
        rebalance_timeout_ms=session_ms,
        max_poll_interval_ms=settings.kafka.max_poll_interval_ms,
        request_timeout_ms=max(15_000, session_ms + 5_000),
        fetch_max_wait_ms=250,
        fetch_max_bytes=_FETCH_BYTES,
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES + _FRAME_BYTES,
        metadata_max_age_ms=METADATA_AGE_MS,
        check_crcs=True,
        # Ours are never transactional; what an outside producer aborted must not be applied.
        isolation_level="read_committed",
    )


def admin(settings: Settings) -> AIOKafkaAdminClient:
    """For topics, groups and offsets."""
    return AIOKafkaAdminClient(
        **_access(settings),
        client_id=f"casestream-{settings.instance}-admin",
        request_timeout_ms=15_000,
    )


def _access(settings: Settings) -> dict[str, Any]:
    """Where the brokers are, and how we prove who we are. Raises ConfigurationError when a certificate cannot be read."""
    kafka = settings.kafka
    access: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.endswith("SSL"):
        access["ssl_context"] = tls_context(kafka)
    if kafka.security_protocol.startswith("SASL") and kafka.sasl_password is not None:
        access["sasl_mechanism"] = kafka.sasl_mechanism
        access["sasl_plain_username"] = kafka.sasl_username
        access["sasl_plain_password"] = kafka.sasl_password.get_secret_value()
    return access


def tls_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """TLS 1.2 or newer; the broker's name is checked."""
    try:
        context = ssl.create_default_context(cafile=kafka.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if kafka.certificate_file is not None:
            context.load_cert_chain(kafka.certificate_file, kafka.certificate_key_file)
    except (OSError, ssl.SSLError) as error:
        files = [str(file) for file in (kafka.ca_file, kafka.certificate_file, kafka.certificate_key_file) if file]
        problem = f"the certificates for Kafka cannot be read ({type(error).__name__}): check {', '.join(files)}"
        raise ConfigurationError([problem]) from error
    return context


async def leave(consumer: AIOKafkaConsumer) -> None:
    """Leave the group and close the consumer.

    Its `stop` awaits the fetches that it cancels, and one that waits between two tries of an absent broker lets its
    cancellation out: nobody has cancelled us then, and what is left to close is the client.
    """
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        await consumer._client.close()


async def abandon(client: AIOKafkaProducer) -> None:
    """Close a producer WITHOUT flushing: what it has not sent is never sent.

    `stop()` would flush first, and its late batches would land after the ones that a new producer sends again. The
    client has no public way to stop the sender alone, hence the private attributes.
    """
    client._closed = True
    sender = client._sender.sender_task
    if sender is not None:
        sender.cancel()
    # Closing the connections ends the requests that the sender still waits for.
    await client.client.close()
    if sender is not None:
        await _end(sender, client.client)
    accumulator = client._message_accumulator
    # A batch that was about to be sent again is not among the pending ones, but its own callback takes it out of them.
    accumulator._pending_batches.update(batch for queue in accumulator._batches.values() for batch in queue)
    accumulator.fail_all(ConnectionError("the producer was abandoned"))


async def _end(sender: "asyncio.Task[None]", connections: Any) -> None:
    """Until the sender has ended: its failed requests wait for news of the cluster, which a closed client never gets."""
    patience = asyncio.get_running_loop().time() + _PRODUCE_TIMEOUT_MS / 1000
    while not sender.done() and asyncio.get_running_loop().time() < patience:
        news = connections._md_update_fut
        if news is not None and not news.done():
            news.set_result(False)
        await asyncio.wait({sender}, timeout=_END_LOOK_SECONDS)
