"""The public CloudEvents SDK reads our records, and we read its, over a real broker."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord
from cloudevents.core.bindings import kafka as sdk
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent as SdkEvent

from domain.outbox.append import record_key
from schemas.envelope import CloudEvent, from_kafka, to_headers
from schemas.types import parse
from schemas.work_items import ApplyAction, WorkItemStatusChanged
from tests.infrastructure.topics import FreshKafka

TOPIC = "work-items.events.v1"
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ATTRIBUTES: dict[str, Any] = {
    "id": "c-1|đ",
    "source": "https://crm.example.org/tickets",
    "type": "ApplyAction",
    "time": MOMENT,
    "subject": "w-1",
    "tenant": "t1",
    "partitionkey": "t1|work_item|w-1",
    "datacontenttype": "application/json",
}
COMMAND = {"workItemId": "w-1", "action": "Resolve", "note": "đã xong ✓"}


class Broker:
    """Sends a record to the one partition of a topic and reads it back as a consumer gets it."""

    def __init__(self, producer: AIOKafkaProducer, consumer: AIOKafkaConsumer, topic: str) -> None:
        self._producer, self._consumer, self._topic = producer, consumer, topic

    async def carry(self, key: bytes | None, value: bytes | None, headers: list[tuple[str, Any]]) -> ConsumerRecord:
        await self._producer.send_and_wait(self._topic, value, key, headers=headers)
        return await self._consumer.getone()


@pytest.fixture
async def broker(fresh_kafka: FreshKafka) -> AsyncIterator[Broker]:
    [topic] = await fresh_kafka.create_topics([TOPIC], partitions=1)
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=fresh_kafka.bootstrap_servers, auto_offset_reset="earliest")
    async with AIOKafkaProducer(bootstrap_servers=fresh_kafka.bootstrap_servers) as producer, consumer:
        yield Broker(producer, consumer, topic)


def as_sdk_message(record: ConsumerRecord) -> sdk.KafkaMessage:
    return sdk.KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value)


@pytest.mark.requirement("SP-2", "SP-10")
async def test_the_sdk_reads_what_we_write(broker: Broker) -> None:
    payload = WorkItemStatusChanged(
        work_item_id="w-1",
        version=3,
        changed_by="u-1",
        changed_at=MOMENT,
        source="KAFKA",
        old_status="open",
        new_status="resolved",
        action="Resolve",
    )
    key = record_key("t1", "work_item", "w-1")
    event = CloudEvent(
        id="e-1",
        source="casestream",
        type=payload.TYPE,
        tenant="t1",
        subject="w-1",
        time=MOMENT,
        data=payload.to_json(),
        dataschema=payload.dataschema(),
        partitionkey=key.decode(),
        sequence=42,
        causation=("rule-1", "e-0"),
        traceparent=TRACE,
    )
    read = sdk.from_kafka_event(as_sdk_message(await broker.carry(key, event.data, to_headers(event))))
    assert read.get_data() == json.loads(payload.to_json())
    assert read.get_attributes() == {
        "specversion": "1.0",
        "id": "e-1",
        "source": "casestream",
        "type": "WORK_ITEM_STATUS_CHANGED",
        "subject": "w-1",
        "time": MOMENT,
        "dataschema": "urn:casestream:schema:WORK_ITEM_STATUS_CHANGED:v1",
        "datacontenttype": "application/json",
        "partitionkey": "t1|work_item|w-1",
        "sequence": "00000000000000000042",
        "tenant": "t1",
        "causation": "rule-1,e-0",
    }


@pytest.mark.requirement("SP-10")
@pytest.mark.parametrize("mode", ["binary", "structured"])
async def test_we_read_what_the_sdk_writes(broker: Broker, mode: str) -> None:
    write = sdk.to_binary if mode == "binary" else sdk.to_structured
    message = write(SdkEvent(dict(ATTRIBUTES), COMMAND), JSONFormat())
    key = message.key.encode() if isinstance(message.key, str) else message.key
    record = await broker.carry(key, message.value, list(message.headers.items()))
    event = from_kafka(record.value, record.headers)
    assert (event.id, event.source, event.tenant, event.time) == (
        ATTRIBUTES["id"],
        ATTRIBUTES["source"],
        "t1",
        MOMENT,
    )
    assert event.partitionkey is not None
    assert event.partitionkey.encode() == record.key
    command = parse(event)
    assert isinstance(command, ApplyAction)
    assert (command.work_item_id, command.action, command.note) == ("w-1", "Resolve", "đã xong ✓")


@pytest.mark.requirement("SP-10")
async def test_we_read_the_sdks_bytes_as_base64(broker: Broker) -> None:
    message = sdk.to_structured(SdkEvent(dict(ATTRIBUTES), json.dumps(COMMAND).encode()), JSONFormat())
    assert b"data_base64" in message.value
    record = await broker.carry(None, message.value, list(message.headers.items()))
    command = parse(from_kafka(record.value, record.headers))
    assert isinstance(command, ApplyAction)
    assert command.note == COMMAND["note"]


async def test_a_structured_record_with_foreign_headers_is_read_by_us_though_not_by_the_sdk(broker: Broker) -> None:
    """A gateway that adds a `ce_` header makes the SDK (2.2.0) take the record for a binary one."""
    message = sdk.to_structured(SdkEvent(dict(ATTRIBUTES), COMMAND), JSONFormat())
    record = await broker.carry(None, message.value, [*message.headers.items(), ("ce_id", b"gateway")])
    assert from_kafka(record.value, record.headers).id == ATTRIBUTES["id"]
    with pytest.raises(CloudEventValidationError):
        sdk.from_kafka_event(as_sdk_message(record))


async def test_a_tombstone_stays_a_tombstone(broker: Broker) -> None:
    event = CloudEvent(id="e", source="s", type="T", tenant="t")
    record = await broker.carry(b"k", None, to_headers(event))
    assert record.value is None
    assert from_kafka(record.value, record.headers) == event
