"""Changes of leads that one rule always meets, for the conformance suite: a run and a command for each."""

import json
from dataclasses import replace

from domain.rules.commands import Saved, Wish, create_rule
from domain.rules.followed_rules import FollowedRules
from processors.rules import Rules
from schemas.entities import EntityChangeEvent
from schemas.envelope import CloudEvent
from tests.e2e.shell.harness import at, event, execute, rows
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.domain.world import World, caller
from tests.integration.rules.house import OUTBOX, WIRING

RULE = {
    "name": "Note the last",
    "triggerType": "ON_UPDATE",
    "entityType": "LEAD",
    "actions": [{"actionType": "UPDATE_FIELD", "configuration": {"fieldName": "noted", "value": "{{last}}"}}],
}


def processor() -> Rules:
    return Rules(OUTBOX, WIRING, FollowedRules())


def history(tenant: str, lead: str, ids: list[str]) -> list[CloudEvent]:
    """The lead's first changes: `last` is the number of the change."""
    changes = [
        EntityChangeEvent(
            event_id=one,
            entity_type="LEAD",
            entity_id=lead,
            change_type="UPDATE",
            new_values={"last": number},
            tenant_id=tenant,
            timestamp=at(number),
        )
        for number, one in enumerate(ids, 1)
    ]
    return [
        replace(
            event(change, tenant, None, id=change.event_id, source="upstream"),
            subject=lead,
            partitionkey=f"{tenant}|LEAD|{lead}",
        )
        for change in changes
    ]


async def prepare(database: ClonedDatabase, tenant: str) -> None:
    await execute(database, f"insert into tenants (tenant_id, name) values ('{tenant}', 'Acme')")
    world = World(database)
    try:
        async with world.api(tenant) as conn:
            saved = await create_rule(conn, caller("rule-editor", tenant_id=tenant), RULE, Wish(), most=100)
        assert isinstance(saved, Saved), saved
    finally:
        await world.close()


async def read(database: ClonedDatabase) -> dict[str, tuple[int, int]]:
    """Commands to each lead, and what the last one says; guards, runs and statistics count the same."""
    commands = await rows(database, "select payload from outbox_events where event_type = 'UpdateField' order by id")
    applied: dict[str, tuple[int, int]] = {}
    for row in commands:
        command = json.loads(row["payload"])
        lead = command["entityId"]
        applied[lead] = (applied.get(lead, (0, 0))[0] + 1, int(command["value"]))
    (counted,) = await rows(
        database,
        "select (select coalesce(sum(executions), 0) from workflow_rule_guards)::int as guards,"
        " (select count(*) from workflow_execution_logs where status = 'SUCCESS')::int as runs,"
        " (select coalesce(sum(executions), 0) from workflow_rule_deltas)::int as statistics",
    )
    total = sum(count for count, _ in applied.values())
    # Several statements: while batches still come in, they may see different ones.
    return applied if set(counted.values()) == {total} else {}
