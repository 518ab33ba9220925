"""The Kafka door to work items: commands become items, history and outbox rows, once."""

import uuid

import pytest

from domain.outbox import Outbox
from processors.work_items import WorkItems
from schemas.work_items import ApplyAction, CreateWorkItem
from tests.e2e.shell.harness import create_group_topics, event, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

TOPIC = "work-items.commands.v1"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def seed(database: ClonedDatabase) -> None:
    await rows(database, "insert into tenants (tenant_id, name) values ('acme', 'Acme')")
    await rows(database, "insert into users (tenant_id, user_id, display_name) values ('acme', 'u1', 'U 1')")


@pytest.mark.requirement("WI-1", "WI-2", "SP-5")
async def test_commands_are_applied_once_and_refusals_are_told(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    await seed(database)
    door = WorkItems(Outbox("casestream"))
    await create_group_topics(fresh_kafka, door)
    item = str(uuid.uuid4())
    commands = [
        event(CreateWorkItem(work_item_id=item, title="Broken printer"), source="crm"),
        event(ApplyAction(work_item_id=item, action="Assign", new_assignee_id="u1"), source="crm", traceparent=TRACE),
        event(ApplyAction(work_item_id=item, action="Close"), source="crm"),
    ]
    await produce(fresh_kafka, TOPIC, [*commands, *commands])

    async with member(settings_for(database, fresh_kafka), door):
        await until(lambda: refused(database), what="the refusal of Close")

    (found,) = await rows(database, "select status, assignee_id, version from work_items")
    assert (found["status"], found["assignee_id"]) == ("in_progress", "u1")
    told = await rows(database, "select event_type, sequence, traceparent from outbox_events order by id")
    assert [row["event_type"] for row in told] == [
        "WORK_ITEM_CREATED",
        "WORK_ITEM_STATUS_CHANGED",
        "WORK_ITEM_STATUS_CHANGED",
        "WorkItemAssigned",
        "WORK_ITEM_ACTION_REFUSED",
    ]
    assert [row["sequence"] for row in told] == [1, 2, 3, 4, None]
    # The command's trace goes on in the events that it caused, and in no others; the relay sends this column as header.
    assert [row["traceparent"] for row in told] == [None, None, TRACE, TRACE, None]
    assert not await rows(database, "select * from parked_messages")


async def refused(database: ClonedDatabase) -> bool:
    return bool(await rows(database, "select from outbox_events where event_type = 'WORK_ITEM_ACTION_REFUSED'"))
