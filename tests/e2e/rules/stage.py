"""Everything that a rule needs to have its whole effect, in one process: doors, relay and calls, on the real broker."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from domain.outbox import Outbox
from domain.rules.commands import Saved, Wish, create_rule
from domain.rules.followed_rules import FollowedRules
from outbox_relay.relay import run as relay
from processors.entities import Entities
from processors.rules import Rules
from processors.shell import Processor
from processors.work_items import WorkItems
from runtime.cli.effect_kinds import rules_outbox, wiring
from runtime.settings import Settings
from schemas.entities import EntityChangeEvent, UpdateField
from schemas.envelope import CloudEvent
from schemas.models import Payload
from schemas.registry import dlt_topic
from tests.e2e.shell.harness import START, event, execute, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.integration.domain.world import World, caller
from tests.waiting import until
from workers.effects.running import run as work
from workers.senders.opening import open_senders

TENANT, LEAD = "acme", "42"
TOLD = ("rules.executions.v1", "effects.events.v1", "work-items.events.v1", "notifications.events.v1")


def created(event_id: str, **values: Any) -> CloudEvent:
    """An upstream says that the lead is there."""
    payload = EntityChangeEvent(
        event_id=event_id,
        entity_type="LEAD",
        entity_id=LEAD,
        tenant_id=TENANT,
        change_type="CREATE",
        new_values=values,
        timestamp=START,
    )
    return _sent(payload, event_id, "crm")


def ordered(command_id: str, field: str, value: Any) -> CloudEvent:
    """A command to set one field of the lead."""
    payload = UpdateField(command_id=command_id, entity_type="LEAD", entity_id=LEAD, field=field, value=value)
    return replace(_sent(payload, command_id, "casestream"), time=None)


def _sent(payload: Payload, event_id: str, source: str) -> CloudEvent:
    return replace(event(payload, id=event_id, source=source), subject=LEAD, partitionkey=f"{TENANT}|LEAD|{LEAD}")


@dataclass
class Stage:
    database: ClonedDatabase
    kafka: FreshKafka
    settings: Settings

    def doors(self) -> list[Processor[Any, Any]]:
        outbox = Outbox(self.settings.ce_source)
        rules = Rules(rules_outbox(self.settings), wiring(self.settings), FollowedRules())
        return [rules, Entities(outbox), WorkItems(outbox)]

    async def rule(self, *actions: Mapping[str, Any], **told: Any) -> str:
        """A rule on changes of leads; its id."""
        document = {"name": "A rule", "triggerType": "ON_UPDATE", "entityType": "LEAD", "actions": list(actions), **told}
        world = World(self.database)
        try:
            async with world.api(TENANT) as conn:
                saved = await create_rule(conn, caller("rule-editor", tenant_id=TENANT), document, Wish(), most=100)
        finally:
            await world.close()
        assert isinstance(saved, Saved), saved
        return saved.rule.id

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[None]:
        """Every role runs until the block ends."""
        stop = asyncio.Event()
        async with AsyncExitStack() as stack:
            senders = await stack.enter_async_context(open_senders(self.settings))
            group = await stack.enter_async_context(asyncio.TaskGroup())
            group.create_task(relay(self.settings, stop))
            group.create_task(work(self.settings, stop, senders, wiring(self.settings)))
            stack.callback(stop.set)
            for door in self.doors():
                await stack.enter_async_context(member(self.settings, door))
            yield

    async def told(self, topic: str) -> list[dict[str, str]]:
        """Headers of every record of a topic."""
        client = AIOKafkaConsumer(bootstrap_servers=self.kafka.bootstrap_servers)
        await client.start()
        try:
            place = TopicPartition(self.kafka.topic(topic), 0)
            client.assign([place])
            await client.seek_to_beginning(place)
            end, found = (await client.end_offsets([place]))[place], list[dict[str, str]]()
            while await client.position(place) < end:
                for batch in (await client.getmany(timeout_ms=200)).values():
                    found += [{name: value.decode() for name, value in record.headers} for record in batch]
            return found
        finally:
            await client.stop()

    async def settled(self) -> None:
        """Until every message is read and nothing waits to be sent or called."""
        await until(self._is_settled, 40, "everything to come to rest")

    async def _is_settled(self) -> bool:
        waiting = await self.rows(
            "select 1 from outbox_events union all select 1 from effects where state not in ('succeeded', 'failed', 'skipped')"
        )
        return not waiting and await self._all_read()

    async def _all_read(self) -> bool:
        client = AIOKafkaConsumer(bootstrap_servers=self.kafka.bootstrap_servers)
        await client.start()
        try:
            found = {
                (row["group_name"], row["topic"]): row["next"]
                for row in await self.rows("select group_name, topic, next from consumer_offsets where partition = 0")
            }
            places = {topic: TopicPartition(self.kafka.topic(topic), 0) for door in self.doors() for topic in door.group.topics}
            ends = await client.end_offsets(list(places.values()))
            return all(
                found.get((door.group.name, topic), 0) == ends[places[topic]]
                for door in self.doors()
                for topic in door.group.topics
            )
        finally:
            await client.stop()

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        return await rows(self.database, query, *arguments)


async def open_stage(database: ClonedDatabase, kafka: FreshKafka, port: int) -> Stage:
    """Topics, a tenant, and a lead of an upstream; from then on leads are ours."""
    targets = json.dumps([f"127.0.0.1:{port}"])
    settings = settings_for(database, kafka, CASESTREAM_OUTBOUND__DEVELOPMENT_TARGETS=targets)
    stage = Stage(database, kafka, settings)
    read = {topic for door in stage.doors() for topic in door.group.topics}
    dead = {dlt_topic(topic, door.group.name) for door in stage.doors() for topic in door.group.topics}
    await kafka.create_topics(sorted(read | dead | set(TOLD)), 1)
    await execute(database, f"insert into tenants (tenant_id, name) values ('{TENANT}', 'Acme')")
    await produce(kafka, "crm.entity.events", [created("create", name="An", score="0")])
    async with member(settings, Entities(Outbox(settings.ce_source))):
        await until(lambda: rows(database, "select from entity_state"), what="the lead")
    await execute(
        database,
        "insert into entity_types (tenant_id, entity_type, stage_field, status_field, managed_since, updated_by)"
        f" values ('{TENANT}', 'LEAD', 'stage', 'status', now(), 'an')",
    )
    return stage
