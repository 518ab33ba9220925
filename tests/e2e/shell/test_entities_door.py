"""Entities on the real broker: upstreams' changes in, commands applied and told, the inbox emptied and all read again."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from domain.entities.store import unpack_values
from domain.outbox import Outbox
from outbox_relay.relay import run as relay
from processors.entities import Entities
from runtime.settings import Settings
from schemas.entities import AddTag, EntityChangeEvent
from schemas.envelope import CloudEvent
from schemas.models import Payload
from tests.e2e.shell.harness import START, create_group_topics, event, execute, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

EVENTS, COMMANDS = "crm.entity.events", "crm.entity.commands"
LEADS = [f"lead-{number}" for number in range(5)]


def sent(payload: Payload, lead: str, event_id: str, source: str) -> CloudEvent:
    return replace(event(payload, id=event_id, source=source), subject=lead, partitionkey=f"acme|DEAL|{lead}")


def created(lead: str, **fields: Any) -> CloudEvent:
    given: dict[str, Any] = {
        "event_id": f"create-{lead}",
        "entity_type": "DEAL",
        "entity_id": lead,
        "tenant_id": "acme",
        "change_type": "CREATE",
        "new_values": {"name": lead},
        "timestamp": START,
    }
    payload = EntityChangeEvent(**(given | fields))
    return sent(payload, lead, f"create-{lead}", "crm")


def tagged(lead: str, tag: str) -> CloudEvent:
    payload = AddTag(command_id=f"{lead}-{tag}", entity_type="DEAL", entity_id=lead, tag=tag)
    return replace(sent(payload, lead, f"{lead}-{tag}", "casestream"), time=None, causation=("rule-1", "event-1"))


async def tags(database: ClonedDatabase) -> dict[str, list[str]]:
    found = await rows(database, "select entity_id, entity_values from entity_state where entity_type = 'DEAL'")
    return {row["entity_id"]: unpack_values(row["entity_values"]).get("tags", []) for row in found}


async def run_until(settings: Settings, door: Entities, database: ClonedDatabase, expected: dict[str, list[str]]) -> None:
    async with member(settings, door):
        await until(lambda: _is(database, expected), what="every change and command")


async def _is(database: ClonedDatabase, expected: dict[str, list[str]]) -> bool:
    return await tags(database) == expected


@pytest.mark.requirement("RU-13", "SP-5")
async def test_commands_become_events_once_even_when_all_is_read_again(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    await execute(database, "insert into tenants (tenant_id, name) values ('acme', 'Acme')")
    settings, door = settings_for(database, fresh_kafka), Entities(Outbox("casestream"))
    await create_group_topics(fresh_kafka, door)
    await produce(fresh_kafka, EVENTS, [created(lead) for lead in LEADS])
    await run_until(settings, door, database, {lead: [] for lead in LEADS})

    await execute(
        database,
        "insert into entity_types (tenant_id, entity_type, stage_field, status_field, managed_since, updated_by)"
        " values ('acme', 'DEAL', 'stage', 'status', now(), 'an')",
    )
    commands = [tagged(lead, tag) for lead in LEADS for tag in ("hot", "new")]
    await produce(fresh_kafka, COMMANDS, [*commands, *commands])
    await run_until(settings, door, database, {lead: ["hot", "new"] for lead in LEADS})

    stop = asyncio.Event()
    relaying = asyncio.create_task(relay(settings, stop))
    await until(lambda: _sent(database), what="the relay to send every event")
    stop.set()
    await relaying
    # What we told comes back on the topic that we read, and is no news.
    await execute(database, "delete from inbox")
    await execute(database, "update consumer_offsets set next = 0")
    async with member(settings, door):
        await until(lambda: _read_all(database), what="all to be read again")
    assert await tags(database) == {lead: ["hot", "new"] for lead in LEADS}
    told = await rows(database, "select event_sequence, version from entity_state")
    assert [(row["event_sequence"], row["version"]) for row in told] == [(2, 2)] * len(LEADS)
    assert not await rows(database, "select from outbox_events where topic = 'crm.entity.events'")
    assert not await rows(database, "select from parked_messages")


async def _sent(database: ClonedDatabase) -> bool:
    return not await rows(database, "select from outbox_events")


async def _read_all(database: ClonedDatabase) -> bool:
    (read,) = await rows(database, "select sum(next) as read from consumer_offsets")
    # Creations, commands twice, and the events that we told.
    return bool(read["read"] >= len(LEADS) * (1 + 4 + 2))


@pytest.mark.requirement("RU-13", "SP-8")
async def test_an_event_that_contradicts_its_envelope_is_parked(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    await execute(database, "insert into tenants (tenant_id, name) values ('acme', 'Acme'), ('other', 'Other')")
    settings, door = settings_for(database, fresh_kafka), Entities(Outbox("casestream"))
    await create_group_topics(fresh_kafka, door)
    wrong = [
        created("a", tenant_id="other"),
        created("b", event_id="another"),
        created("c", new_values={"text": "x" * 1_100_000}),
    ]
    await produce(fresh_kafka, EVENTS, [*wrong, created("d", entity_type="NEVER_SEEN"), created("e", new_values=None)])
    async with member(settings, door):
        await until(lambda: _settled(database), what="three parked and two accepted")
    assert await rows(database, "select from entity_state where tenant_id = 'other'") == []


async def _settled(database: ClonedDatabase) -> bool:
    parked = await rows(database, "select from parked_messages")
    kept = await rows(database, "select from entity_state")
    return (len(parked), len(kept)) == (3, 2)
