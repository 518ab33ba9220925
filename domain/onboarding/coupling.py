"""What happens to a work item, as commands for the instance behind it (WI-4, WI-6, WI-7, IN-9): decisions, and the look-ups.

| the item | is a review task | is coupled with an instance |
|---|---|---|
| is sent (WORK_ITEM_CREATED) | - | start, where the item's template names a flow |
| Close | approve | complete, in the item's cycle, where the coupling is strong |
| Resolve | approve | - |
| Reject | reject | cancel, in the item's cycle |
| Cancel | return, where the state or policy knows it; else nothing | cancel, in the item's cycle |
| Reopen | - | reopen, in the item's cycle |

The instance that a template begins has the item's id. So it is known before it is there: an order that follows the start at
once goes to the same key behind it, and is never lost because the start is still on its way.

What the engine did itself is never told back to it (trap 53): neither does a review task, which is an item too, begin a flow.
An import repeats what happened elsewhere; its items begin none either.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.incidents import Incident, open_incidents
from domain.onboarding.batch import Ruling
from domain.onboarding.definitions import FollowedFlows
from domain.onboarding.publishing import Ordered, ordered
from domain.onboarding.store import queries
from domain.outbox import OutboxEvent
from domain.work_items.taxonomy import default_taxonomy
from runtime.sql import Connection
from schemas.errors import Rejected
from schemas.onboarding import (
    CancelInstance,
    CompleteInstance,
    Decision,
    ReopenInstance,
    ReviewDecided,
    StartInstance,
)
from schemas.work_items import Source, WorkItemCreated, WorkItemStatusChanged

# Tenant and work item.
ItemKey = tuple[str, str]
News = WorkItemCreated | WorkItemStatusChanged
REFUSED = "coupling-refused"
_DECISIONS: Mapping[str, Decision] = {"Close": "approve", "Resolve": "approve", "Reject": "reject", "Cancel": "return"}
_NEVER_BEGIN: frozenset[Source] = frozenset({"WORKFLOW_ENGINE", "IMPORT"})


@dataclass(frozen=True, slots=True)
class Behind:
    """What stands behind a work item: an open review task of an instance (its number), and coupled instances.

    `versions`: of the flows that the batch's new items begin, the newest that their tenant can start.
    """

    task_of: str | None = None
    task: int = 0
    instances: tuple[str, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict)


async def look_behind(
    conn: Connection, flows: FollowedFlows, items: Collection[ItemKey], created: Iterable[tuple[str, WorkItemCreated]] = ()
) -> dict[ItemKey, Behind]:
    """Every item has an answer. `created`: items that were sent, by tenant."""
    if not items:
        return {}
    rows = sorted(items)
    named = {"tenant_ids": [tenant for tenant, _ in rows], "work_item_ids": [item for _, item in rows]}
    tasks = {
        (row["tenant_id"], row["work_item_id"]): (row["instance_id"], row["task"])
        for row in await queries.find_review_tasks(conn, **named)
    }
    coupled: dict[ItemKey, list[str]] = {}
    for row in await queries.find_coupled_instances(conn, **named):
        coupled.setdefault((row["tenant_id"], row["work_item_id"]), []).append(row["instance_id"])
    versions: dict[str, dict[str, int]] = {}
    for tenant, flow in sorted({(tenant, flow) for tenant, event in created if (flow := _flow_of(event))}):
        # A flow that the tenant does not have is refused by the engine, which says so in an incident.
        versions.setdefault(tenant, {})[flow] = await flows.newest(conn, tenant, flow) or 1
    return {
        key: Behind(*tasks.get(key, (None, 0)), tuple(sorted(coupled.get(key, ()))), versions.get(key[0], {})) for key in rows
    }


def orders_of(
    behind: Behind,
    event: News,
    tenant_id: str,
    now: datetime,
    causation: tuple[str, ...] = (),
    traceparent: str | None = None,
) -> Sequence[OutboxEvent]:
    """The commands that follow from what happened to a work item."""
    if event.source == "WORKFLOW_ENGINE":
        return ()
    commands = _begin(behind, event) if isinstance(event, WorkItemCreated) else _follow(behind, event)
    return [ordered(command, tenant_id, event.changed_by, now, causation, traceparent) for command in commands]


async def report_refused(conn: Connection, rulings: Iterable[Ruling]) -> None:
    """A start or a reopening that the engine refused stays undone until a person hears of it: nobody reads the answer."""
    await open_incidents(conn, [alarm for ruling in rulings for alarm in _alarms(ruling)])


def _begin(behind: Behind, event: WorkItemCreated) -> Iterable[Ordered]:
    flow = _flow_of(event)
    if flow is not None:
        yield StartInstance(
            instance_id=event.work_item_id,
            flow=flow,
            flow_version=behind.versions[flow],
            user_id=event.changed_by,
            work_item_id=event.work_item_id,
            cycle=event.cycle,
        )


def _follow(behind: Behind, event: WorkItemStatusChanged) -> Iterable[Ordered]:
    if behind.task_of is not None:
        yield from _decide(behind.task_of, behind.task, event)
    elif event.notify_workflow:
        begun = {event.work_item_id} if default_taxonomy().flow_of(event.process) else set()
        for instance in sorted(begun | set(behind.instances)):
            yield from _order(instance, event)


def _decide(instance_id: str, task: int, event: WorkItemStatusChanged) -> Iterable[Ordered]:
    decision = _DECISIONS.get(event.action)
    if decision is not None:
        yield ReviewDecided(
            instance_id=instance_id,
            work_item_id=event.work_item_id,
            decision=decision,
            decided_by=event.changed_by,
            task=task,
        )


def _order(instance_id: str, event: WorkItemStatusChanged) -> Iterable[Ordered]:
    if event.action in ("Cancel", "Reject"):
        reason = f"work item {event.work_item_id}: {event.action}"
        yield CancelInstance(instance_id=instance_id, reason=reason, cycle=event.cycle)
    elif event.action == "Close":
        yield CompleteInstance(instance_id=instance_id, cycle=event.cycle)
    elif event.action == "Reopen" and event.cycle >= 1:
        yield ReopenInstance(instance_id=instance_id, cycle=event.cycle)


def _flow_of(event: WorkItemCreated) -> str | None:
    return None if event.source in _NEVER_BEGIN else default_taxonomy().flow_of(event.process)


def _alarms(ruling: Ruling) -> Iterable[Incident]:
    command, outcome = ruling.message.command, ruling.outcome
    if not isinstance(outcome, Rejected) or "SYSTEM" not in ruling.context.actors:
        return
    if isinstance(command, StartInstance):
        item = command.work_item_id
    elif isinstance(command, ReopenInstance) and ruling.before is not None:
        item = ruling.before.work_item_id
    else:
        return
    if item is not None:
        yield Incident(
            ruling.message.tenant_id,
            REFUSED,
            f"{command.TYPE}|{outcome.code}",
            f"work item {item} goes on without its workflow: {outcome.code}",
            object_type="work_item",
            object_id=item,
            cure=f"casestream instance show {command.instance_id}; mend the cause and start an instance, or work without one",
            detail={"instanceId": command.instance_id, "command": command.TYPE, "code": outcome.code},
        )
