"""One script of commands through each door: HTTP and the topic leave the same rows, events, refusals and next actions.

The script runs over HTTP for one tenant and over Kafka for another, with the same item ids and people of the same names.
It fails as soon as one door decides, writes or answers something of its own; the control shows that the comparison sees
a single action that only one door was asked for.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest

from api.app import create_app
from domain.outbox import Outbox
from processors.work_items import WorkItems
from runtime.postgres import open_pool
from schemas.work_items import ApplyAction, CreateWorkItem
from tests.e2e.shell.harness import create_group_topics, event, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.integration.api import conftest as http_door
from tests.integration.api.conftest import ITEMS, Served
from tests.integration.api.serving import asgi_client
from tests.unit.api.tokens import World
from tests.waiting import until

Command = CreateWorkItem | ApplyAction
# What a tenant's items became, their histories, their numbered events, and the refusals in the script's order.
Result = tuple[list[dict[str, Any]], list[dict[str, Any]], list[Any], list[Any]]
HTTP, KAFKA = "north", "south"


def item(name: str) -> str:
    return str(uuid5(NAMESPACE_OID, name))


def create(name: str, **fields: Any) -> CreateWorkItem:
    return CreateWorkItem(work_item_id=item(name), title="A card is lost", **fields)


def act(name: str, action: str, **fields: Any) -> ApplyAction:
    return ApplyAction(work_item_id=item(name), action=action, **fields)


# An agent's day, with everything that is refused in one: his role, the state, a stale view, the assignee, the name.
SCRIPT: list[Command] = [
    create("whole", priority="high", process="general", assignee_id="an"),
    create("whole"),
    act("whole", "Close"),
    act("whole", "StartWork", note="by phone"),
    act("whole", "Assign"),
    act("whole", "Assign", new_assignee_id="nobody"),
    act("whole", "Assign", new_assignee_id="chi"),
    act("whole", "Assign", new_assignee_id="binh"),
    act("whole", "Assign", new_assignee_id="binh"),
    act("whole", "SetWaitingCustomer", expected_status="open"),
    act("whole", "SetWaitingCustomer", expected_version=1),
    act("whole", "SetWaitingCustomer", expected_status="in_progress"),
    act("whole", "resolve"),
    act("whole", "AutoCloseFromWorkflow"),
    act("whole", "BackToInProgress"),
    act("whole", "Resolve", note="sent a new one"),
    act("whole", "Close"),
    act("whole", "Reopen"),
    create("draft", draft=True, process="aml-watch"),
    act("draft", "StartWork"),
    act("draft", "Submit"),
    act("draft", "Cancel"),
    create("wrong", assignee_id="chi"),
    act("wrong", "StartWork"),
]
REFUSED = [
    ("ConflictState", "open"),
    ("InvalidTransition", "open"),
    ("AssigneeRequired", "in_progress"),
    ("UnknownAssignee", "in_progress"),
    ("InactiveAssignee", "in_progress"),
    ("ConflictState", "in_progress"),
    ("ConflictState", "in_progress"),
    ("InvalidAction", "waiting_customer"),
    ("InvalidAction", "waiting_customer"),
    ("PermissionDenied", "closed"),
    ("InvalidTransition", "draft"),
    ("InactiveAssignee", None),
    ("WorkItemNotFound", None),
]


@dataclass
class Doors:
    """Both doors to one database."""

    database: ClonedDatabase
    kafka: FreshKafka
    http: Served
    sent: int = 0

    async def over_http(self, script: Sequence[Command]) -> list[Any]:
        """The refusals, as the client was told them."""
        told = []
        for number, command in enumerate(script):
            path = ITEMS if isinstance(command, CreateWorkItem) else f"{ITEMS}/{command.work_item_id}/actions"
            body = command.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"work_item_id"})
            if isinstance(command, CreateWorkItem):
                body["workItemId"] = command.work_item_id
            headers = self.http.headers(("agent",), HTTP, "an", idempotency_key=f"{self.sent}-{number}")
            answer = await self.http.client.post(path, json=body, headers=headers)
            if answer.status_code >= 400:
                said = answer.json()
                told.append((said["error"], said.get("currentStatus"), said.get("allowedNextActions", [])))
        return told

    async def over_kafka(self, script: Sequence[Command]) -> list[Any]:
        """The refusals, as the events tell them."""
        named = [command.model_copy(update={"requested_by": "an"}) for command in script]
        await produce(self.kafka, "work-items.commands.v1", [event(command, KAFKA, source="crm-gateway") for command in named])
        self.sent += len(script)
        settings = settings_for(self.database, self.kafka)
        async with member(settings, WorkItems(Outbox("casestream"))):
            await until(self._all_read, what="the script to be read")
        query = (
            "select convert_from(payload, 'UTF8') as said from outbox_events "
            "where tenant_id = $1 and sequence is null order by id"
        )
        said = [json.loads(row["said"]) for row in await rows(self.database, query, KAFKA)]
        return [(one["code"], one.get("status"), one.get("allowedNextActions", [])) for one in said]

    async def _all_read(self) -> bool:
        found = await rows(self.database, "select sum(next) as total from consumer_offsets where topic like 'work-items%'")
        return bool(found[0]["total"] == self.sent)

    async def left(self, tenant: str, refusals: list[Any]) -> Result:
        """Everything the doors may not differ in: all but the tenant, the times, and through which door it came."""
        apart = "- '{tenant_id,created_at,updated_at,closed_at,occurred_at,recorded_at,last_action_at,source}'::text[]"
        items = await rows(
            self.database,
            f"select (to_jsonb(w) {apart})::text as row, closed_at is null as is_open "
            "from work_items w where tenant_id = $1 order by id",
            tenant,
        )
        steps = await rows(
            self.database,
            "select work_item_id, position, from_status, to_status, action, by_user, assignee_id, note "
            "from work_item_state_history where tenant_id = $1 order by work_item_id, position",
            tenant,
        )
        events = await rows(
            self.database,
            "select aggregate_id, sequence, event_type, topic, created_by, "
            "(convert_from(payload, 'UTF8')::jsonb - 'changedAt' - 'source')::text as payload "
            "from outbox_events where tenant_id = $1 and sequence is not null order by aggregate_id, sequence",
            tenant,
        )
        return items, steps, events, refusals


@pytest.fixture
async def doors(database: ClonedDatabase, fresh_kafka: FreshKafka) -> AsyncIterator[Doors]:
    await http_door.fill(database)
    await create_group_topics(fresh_kafka, WorkItems(Outbox("casestream")), 1)
    settings, world = http_door.settings_for(database), World()
    pool = await open_pool(settings, "api", size=4, min_size=0, reset=False)
    app = create_app(settings, pool, world.verifier())
    async with asgi_client(app) as client:
        yield Doors(database, fresh_kafka, Served(app, settings, pool, database, client, world))
    await pool.close()


@pytest.mark.requirement("WI-1", "WI-2", "WI-3", "trap-61")
async def test_one_script_through_both_doors_leaves_the_same(doors: Doors) -> None:
    over_http = await doors.left(HTTP, await doors.over_http(SCRIPT))
    over_kafka = await doors.left(KAFKA, await doors.over_kafka(SCRIPT))
    assert [(code, status) for code, status, _ in over_http[3]] == REFUSED, "the script reaches every refusal"
    assert len(over_http[0]) == 2
    for one, other in zip(over_http, over_kafka, strict=True):
        assert one == other


async def test_control_an_action_through_one_door_only_is_seen(doors: Doors) -> None:
    short = SCRIPT[:4]
    over_http = await doors.left(HTTP, await doors.over_http(short))
    over_kafka = await doors.left(KAFKA, await doors.over_kafka([*short, act("whole", "Resolve")]))
    assert [one == other for one, other in zip(over_http, over_kafka, strict=True)] == [False, False, False, True]
