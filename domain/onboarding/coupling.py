"""What happens to a work item, as commands for the instance behind it (WI-6, IN-9): pure decisions, and the look-ups for them.

| the item | is a review task | is coupled with an instance |
|---|---|---|
| Close, Resolve | approve | - |
| Reject | reject | cancel, in the item's cycle |
| Cancel | return, where the state or policy knows it; else nothing | cancel, in the item's cycle |
| Reopen | - | reopen, in the item's cycle |

What the engine did itself is never told back to it (trap 53).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.onboarding.publishing import ordered
from domain.onboarding.store import queries
from domain.outbox import OutboxEvent
from runtime.sql import Connection
from schemas.onboarding import CancelInstance, Decision, ReopenInstance, ReviewDecided
from schemas.work_items import WorkItemStatusChanged

# Tenant and work item.
ItemKey = tuple[str, str]
_DECISIONS: Mapping[str, Decision] = {"Close": "approve", "Resolve": "approve", "Reject": "reject", "Cancel": "return"}


@dataclass(frozen=True, slots=True)
class Behind:
    """What stands behind a work item: an open review task of an instance (its number), and coupled instances."""

    task_of: str | None = None
    task: int = 0
    instances: tuple[str, ...] = ()


async def look_behind(conn: Connection, items: Collection[ItemKey]) -> dict[ItemKey, Behind]:
    """Every item has an answer."""
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
    return {key: Behind(*tasks.get(key, (None, 0)), tuple(sorted(coupled.get(key, ())))) for key in rows}


def orders_of(behind: Behind, event: WorkItemStatusChanged, tenant_id: str, now: datetime) -> Sequence[OutboxEvent]:
    """The commands that follow from a move of a work item."""
    if event.source == "WORKFLOW_ENGINE":
        return ()
    by = event.changed_by
    if behind.task_of is not None:
        decision = _DECISIONS.get(event.action)
        if decision is None:
            return ()
        decided = ReviewDecided(
            instance_id=behind.task_of,
            work_item_id=event.work_item_id,
            decision=decision,
            decided_by=by,
            task=behind.task,
        )
        return (ordered(decided, tenant_id, by, now),)
    if not event.notify_workflow:
        return ()
    if event.action in ("Cancel", "Reject"):
        reason = f"work item {event.work_item_id}: {event.action}"
        return [
            ordered(CancelInstance(instance_id=instance, reason=reason, cycle=event.cycle), tenant_id, by, now)
            for instance in behind.instances
        ]
    if event.action == "Reopen":
        return [
            ordered(ReopenInstance(instance_id=instance, cycle=event.cycle), tenant_id, by, now)
            for instance in behind.instances
            if event.cycle >= 1
        ]
    return ()
