"""Commands to instances, and work items behind them, for the conformance suite: what took effect is in histories and outbox."""

import json
from dataclasses import replace
from typing import Any

from domain.cases.followed_classes import FollowedClasses
from domain.cases.mapping_store import released_files
from domain.onboarding.definitions import FollowedFlows
from domain.onboarding.engine import Engine
from domain.onboarding.flow import FlowKey
from domain.onboarding.sealing import CASE, open_words
from domain.outbox import Outbox
from processors.onboarding import Onboarding
from processors.saga import Saga
from schemas.envelope import CloudEvent
from schemas.flows import FlowDefinition
from schemas.models import Payload
from schemas.onboarding import Advance, StartInstance
from schemas.work_items import WorkItemStatusChanged
from tests.e2e.shell.case_commands import OneWritingKey
from tests.e2e.shell.case_snapshots import KEY_ID, SECRET
from tests.e2e.shell.harness import at, event, execute, rows
from tests.infrastructure.databases import ClonedDatabase

# A journey that goes round for ever: each command is one more entry into the state.
ROUND = FlowDefinition.model_validate(
    {
        "flow": "round",
        "version": 1,
        "initial": "HERE",
        "states": [{"name": "HERE"}, {"name": "DONE", "end": "completed"}],
        "transitions": [
            {"from": "HERE", "action": "NEXT", "to": "HERE", "actors": ["USER"]},
            {"from": "HERE", "action": "END", "to": "DONE", "actors": ["USER"]},
        ],
    }
)


def onboarding() -> Onboarding:
    flows = FollowedFlows({FlowKey("round", 1): ROUND})
    return Onboarding(Engine(Outbox("casestream"), OneWritingKey(), flows, FollowedClasses(released_files())))


def saga() -> Saga:
    return Saga(Outbox("casestream"), FollowedFlows({}))


def history(tenant: str, instance_id: str, ids: list[str]) -> list[CloudEvent]:
    """The first starts it, each other one goes round once more; `n` is the number of the command."""
    commands: list[Payload] = [
        StartInstance(instance_id=instance_id, flow="round", flow_version=1, user_id="ann", data={"n": 1}),
        *(
            Advance(instance_id=instance_id, action="NEXT", requested_by="ann", data={"n": number})
            for number in range(2, len(ids) + 1)
        ),
    ]
    return [
        replace(event(command, tenant, None, id=one), subject=instance_id, partitionkey=f"{tenant}|onboarding|{instance_id}")
        for command, one in zip(commands, ids, strict=True)
    ]


async def prepare(database: ClonedDatabase, tenant: str) -> None:
    await execute(database, f"insert into tenants (tenant_id, name) values ('{tenant}', 'Acme')")


async def read(database: ClonedDatabase) -> dict[str, tuple[int, int]]:
    """Entries into the state of each instance, and the `n` that its case says; history, case and events count the same."""
    found = await rows(
        database,
        "select i.tenant_id, i.instance_id, i.user_id, c.version as cases, c.case_data, i.version,"
        " (select count(*) from workflow_event e where e.instance_id = i.instance_id)::int as events,"
        " (select count(*) from workflow_event e where e.instance_id = i.instance_id and event_type = 'STATE_ENTERED')::int"
        " as entries, (select count(*) from outbox_events o where o.aggregate_id = i.instance_id)::int as told"
        " from onboarding_instance i join flw_case c on c.case_id = i.instance_id",
    )
    applied = {}
    for row in found:
        assert row["version"] == row["events"] == row["told"]
        assert row["cases"] == row["entries"]
        subject = (row["tenant_id"], row["user_id"])
        case = open_words({KEY_ID: SECRET}, subject, CASE, row["instance_id"], row["cases"], row["case_data"])
        applied[row["instance_id"]] = (row["entries"], case["n"])
    return applied


def item_history(tenant: str, item: str, ids: list[str]) -> list[CloudEvent]:
    """A coupled item that is reopened again and again: each news orders one ReopenInstance, in its cycle."""
    return [
        event(
            WorkItemStatusChanged(
                work_item_id=item, version=number, cycle=number, changed_by="cy", changed_at=at(number), source="CRM_UI",
                old_status="closed", new_status="in_progress", action="Reopen", notify_workflow=True,
            ),
            tenant,
            number,
            id=one,
        )
        for number, one in enumerate(ids, 1)
    ]  # fmt: skip


async def couple(database: ClonedDatabase, tenant: str, items: list[str]) -> None:
    """Instances that ended, one behind each item."""
    await prepare(database, tenant)
    await execute(
        database,
        "insert into flw_int_def (tenant_id, flow, version, definition, created_by)"
        f" values ('{tenant}', 'round', 1, '{json.dumps(ROUND.as_document())}', 'u');"
        " insert into onboarding_instance (tenant_id, instance_id, flow, flow_version, user_id, status, current_state, version,"
        f" folded, started_at, work_item_id) select '{tenant}', i, 'round', 1, 'ann', 'COMPLETED', 'DONE', 1, '{{}}', now(), i"
        f" from unnest(array{items!r}) as i",
    )


async def read_orders(database: ClonedDatabase) -> dict[str, tuple[int, int]]:
    """Orders to the instance behind each item, and the cycle of the last one."""
    applied: dict[str, tuple[int, int]] = {}
    for row in await rows(database, "select payload from outbox_events where event_type = 'ReopenInstance' order by id"):
        order: dict[str, Any] = json.loads(row["payload"])
        count, _ = applied.get(order["instanceId"], (0, 0))
        applied[order["instanceId"]] = (count + 1, order["cycle"])
    return applied
