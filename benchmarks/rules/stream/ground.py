"""The ground that all stand on: a topic full of changes of leads, ten rules, and tables that are empty before each run.

Of the ten rules one matches the wanted share of the events, by `score`; the others look at three fields each and never match.
What matches is a run with one webhook to make: a row of the log and a row of an effect. Nobody makes the calls.
"""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaProducer

from domain.rules.commands import Saved, Wish, create_rule
from schemas.entities import EntityChangeEvent
from schemas.envelope import CloudEvent, to_headers
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.integration.domain.world import World, caller
from tests.integration.rules.house import action

TOPIC = "crm.entity.events"
OTHERS = ("rules.commands.v1", f"{TOPIC}.workflow-engine.dlt", "rules.commands.v1.workflow-engine.dlt")
TENANT = "acme"
PARTITIONS = 8
LEADS = 5_000
RULES = 10
# A lead meets a rule more often than the loop guard would allow, were it one lead for each event of a run.
_OURS = (
    "workflow_execution_logs, workflow_rule_guards, workflow_rule_deltas, effects, effect_order_keys, inbox, outbox_events,"
    " applied_sequences, consumer_offsets, timers"
)


def matches(score: int, least: int) -> bool:
    """Whether the one rule that may match does, at a score from 0 to 99."""
    return score >= least


def documents(least: int) -> list[dict[str, Any]]:
    """The ten rules."""
    hook = action("CALL_WEBHOOK", {"url": "https://hooks.example/crm", "bodyTemplate": {"id": "{{id}}", "score": "{{score}}"}})
    one = {"name": "hot", "conditions": [_number("GREATER_THAN_OR_EQUALS", "score", least)]}
    others = [
        {
            "name": f"never {number}",
            "conditions": [
                {"fieldName": "city", "operator": "EQUALS", "value": "Hue", "valueType": "STRING"},
                {"fieldName": "note", "operator": "CONTAINS", "value": f"word{number}", "valueType": "STRING"},
                _number("GREATER_THAN", "amount", 1_000_000 + number),
            ],
        }
        for number in range(1, RULES)
    ]
    return [{"triggerType": "ON_UPDATE", "entityType": "LEAD", "actions": [hook], **told} for told in (one, *others)]


def _number(operator: str, field: str, value: int) -> dict[str, Any]:
    return {"fieldName": field, "operator": operator, "value": value, "valueType": "NUMBER"}


def values(dice: random.Random, number: int) -> dict[str, Any]:
    """A lead of a dozen fields."""
    return {
        "name": f"Nguyễn Văn {number % LEADS}",
        "email": f"p{number % LEADS}@example.com",
        "phone": "+84 28 1234 5678",
        "city": dice.choice(("Hanoi", "Hue", "Danang")),
        "leadSource": dice.choice(("WEBSITE", "PARTNER")),
        "leadStatus": dice.choice(("NEW", "CONTACTED", "QUALIFIED")),
        "owner": dice.choice(("an", "binh", "chi")),
        "amount": dice.randint(0, 1_000_000),
        "score": dice.randrange(100),
        "note": "called twice, wants an offer by the end of the month",
        "tags": ["b2b", "south"],
        "address": {"city": "Hanoi", "floor": dice.randint(1, 40)},
    }


def events(count: int) -> Iterator[CloudEvent]:
    """Updates, all leads in turn."""
    dice, before = random.Random(4), dict[int, dict[str, Any]]()
    now = datetime.now(UTC)
    for number in range(count):
        lead = number % LEADS
        new = values(dice, number)
        old = before.get(lead, values(dice, number))
        before[lead] = new
        event_id, entity_id = f"e{number:08}", f"lead-{lead}"
        told = {
            "eventId": event_id,
            "entityType": "LEAD",
            "entityId": entity_id,
            "changeType": "UPDATE",
            "oldValues": old,
            "newValues": new,
            "changedFields": ["score", "amount"],
            "changedBy": "an",
            "tenantId": TENANT,
            "timestamp": now.isoformat(),
            "source": "API",
        }
        yield CloudEvent(
            id=event_id,
            source="crm",
            type=EntityChangeEvent.TYPE,
            tenant=TENANT,
            subject=entity_id,
            time=now,
            data=orjson.dumps(told),
            dataschema="urn:casestream:entity-change-event:1",
            partitionkey=f"{TENANT}|LEAD|{entity_id}",
            sequence=None,
        )


async def fill(kafka: FreshKafka, count: int) -> None:
    """Create the topics and send the events."""
    await kafka.create_topics([TOPIC, *OTHERS], PARTITIONS)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, linger_ms=20, max_batch_size=512 * 1024)
    await producer.start()
    try:
        sent: list[asyncio.Future[object]] = []
        for event in events(count):
            key = (event.partitionkey or "").encode()
            sent.append(await producer.send(kafka.topic(TOPIC), event.data, key, headers=to_headers(event)))
            if len(sent) == 20_000:
                await asyncio.gather(*sent)
                sent.clear()
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def prepare(database: ClonedDatabase, least: int) -> None:
    """The tenant with its rules."""
    conn = await asyncpg.connect(database.url("superuser"))
    try:
        await conn.execute(f"insert into tenants (tenant_id, name) values ('{TENANT}', 'Acme')")
    finally:
        await conn.close()
    world = World(database)
    try:
        for document in documents(least):
            async with world.api(TENANT) as api:
                saved = await create_rule(api, caller("rule-editor", tenant_id=TENANT), document, Wish(), most=100)
            assert isinstance(saved, Saved), saved
    finally:
        await world.close()


async def empty(url: str) -> None:
    """As before the first event."""
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(f"truncate {_OURS}")
        await conn.execute("checkpoint")
    finally:
        await conn.close()


async def written(url: str) -> tuple[int, int, int]:
    """Rows of the log, of effects, and of events remembered."""
    conn = await asyncpg.connect(url)
    try:
        tables = ("workflow_execution_logs", "effects", "inbox")
        found = [await conn.fetchval(f"select count(*) from {table}") for table in tables]
        return found[0], found[1], found[2]
    finally:
        await conn.close()
