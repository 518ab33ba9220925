"""No event is lost on its way through rules: tried again, or parked with its key; its position moves with its effect."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domain.rules.commands import Saved, Wish, create_rule
from domain.rules.followed_rules import FollowedRules
from domain.rules.sought import TOPIC
from processors.rules import Rules
from schemas.entities import EntityChangeEvent
from schemas.envelope import CloudEvent
from tests.e2e.shell.harness import create_group_topics, event, execute, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.integration.domain.world import World, caller
from tests.integration.rules.house import OUTBOX, UPDATE, WIRING
from tests.waiting import until

RULE = {"name": "Any", "triggerType": "ON_UPDATE", "entityType": "LEAD", "actions": [UPDATE]}


def changed(event_id: str, lead: str, inside: str | None = None) -> CloudEvent:
    payload = EntityChangeEvent(
        event_id=inside or event_id,
        entity_type="LEAD",
        entity_id=lead,
        tenant_id="north",
        change_type="UPDATE",
        new_values={"name": event_id},
        timestamp=datetime.now(UTC),
    )
    return replace(event(payload, "north", id=event_id, source="crm"), subject=lead, partitionkey=f"north|LEAD|{lead}")


async def begin(database: ClonedDatabase, kafka: FreshKafka) -> Rules:
    """A tenant with one rule, and the door to it."""
    door = Rules(OUTBOX, WIRING, FollowedRules())
    await create_group_topics(kafka, door, 1)
    await execute(database, "insert into tenants (tenant_id, name) values ('north', 'North')")
    world = World(database)
    try:
        async with world.api() as conn:
            assert isinstance(await create_rule(conn, caller("rule-editor"), RULE, Wish(), most=10), Saved)
    finally:
        await world.close()
    return door


async def ran(database: ClonedDatabase) -> list[str]:
    """Occurrences that made runs, in order."""
    return [row["occurrence"] for row in await rows(database, "select occurrence from workflow_execution_logs order by 1")]


async def position(database: ClonedDatabase) -> int:
    found = await rows(database, f"select next from consumer_offsets where topic = '{TOPIC}'")
    return int(found[0]["next"]) if found else 0


@pytest.mark.requirement("trap-1", "trap-2", "trap-3")
async def test_an_event_whose_work_fails_in_passing_is_tried_until_it_is_done_once(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    door = await begin(database, fresh_kafka)
    # The third attempt works. A sequence keeps its count though the transaction is rolled back.
    await execute(database, "create sequence attempts; grant usage on sequence attempts to public")
    await execute(
        database,
        "create function fail_twice() returns trigger language plpgsql as $$ begin"
        " if nextval('attempts') < 3 then raise exception 'in passing' using errcode = '40001'; end if; return new; end $$",
    )
    await execute(
        database,
        "create trigger fail_twice before insert on workflow_execution_logs for each row execute function fail_twice()",
    )
    await produce(fresh_kafka, TOPIC, [changed("e1", "42")])
    async with member(settings_for(database, fresh_kafka), door):
        await until(lambda: ran(database), 60, "the run")

    assert (await rows(database, "select last_value::int as n from attempts"))[0]["n"] == 3
    assert await ran(database) == ["event|crm|e1"]
    assert await position(database) == 1
    assert len(await rows(database, "select 1 from outbox_events where event_type = 'UpdateField'")) == 1
    assert await rows(database, "select 1 from parked_messages") == []


@pytest.mark.requirement("trap-1")
async def test_an_event_that_cannot_be_read_is_parked_with_its_key_and_holds_no_other_back(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    door = await begin(database, fresh_kafka)
    bad, later = changed("bad", "43", inside="another"), changed("later", "43")
    await produce(fresh_kafka, TOPIC, [changed("e1", "42"), bad, changed("e2", "44"), later, changed("e3", "42")])
    async with member(settings_for(database, fresh_kafka), door):
        await until(lambda: _at(database, 5), 60, "the end of the topic")

    assert await ran(database) == ["event|crm|e1", "event|crm|e2", "event|crm|e3"]
    parked = await rows(database, 'select "offset", value from parked_messages order by "offset"')
    # The key's later event waits behind it: applied first, it would be overtaken by an older one after the mend.
    assert [(row["offset"], row["value"]) for row in parked] == [(1, bad.data), (3, later.data)]
    assert [row["kind"] for row in await rows(database, "select kind from incidents")] == ["parked-messages"]


async def _at(database: ClonedDatabase, offset: int) -> bool:
    return await position(database) == offset
