"""Review tasks as persons work on them (IN-9): a group's queue, claim, release, reassign, and the decision.

| | who may |
|---|---|
| claim | a member of the group, where nobody else has it |
| release | who has it, supervisors |
| reassign to a member | who has it, supervisors |
| approve, reject, return | a member who has it, or when nobody has; supervisors |

Nobody reviews his own journey, whatever his roles. The work item follows: it is assigned by its own command, and closed by the
engine once the task is decided. What the item itself is moved to (Close, Reject) decides the task too: `coupling`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from domain.onboarding.actors import MAY_LEAD
from domain.onboarding.engine import Engine
from domain.onboarding.supervising import order
from domain.onboarding.turn import Outcome, Unchanged
from domain.outbox import Outbox
from domain.work_items import commands as work_items
from domain.work_items.store import canonical_id
from domain.work_items.transitions import ENDED
from runtime.sql import Connection, load_queries
from schemas.caller import Caller
from schemas.errors import NotFound, Rejected
from schemas.onboarding import Decision, ReviewDecided
from schemas.work_items import ApplyAction

queries = load_queries(Path(__file__).with_name("review_tasks.sql"))

Row = dict[str, Any]
Position = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Task:
    """One task. `item_status` None: its work item is still on its way. `members`: of the persons asked about, the group's."""

    work_item_id: str
    instance_id: str
    task: int
    group: str
    closed: bool
    user_id: str
    item_status: str | None
    assignee_id: str | None
    item_version: int | None
    members: frozenset[str]
    row: Row

    @property
    def is_over(self) -> bool:
        return self.closed or self.item_status in ENDED


async def find_task(conn: Connection, tenant_id: str, work_item_id: str, *persons: str) -> Task:
    """A task by its work item. Raises NotFound."""
    item_id = canonical_id(work_item_id)
    row = item_id and await queries.find_task(conn, tenant_id=tenant_id, work_item_id=item_id, persons=list(persons))
    if not row:
        raise NotFound("There is no such review task")
    told = {name: row[name] for name in ("work_item_id", "instance_id", "task", "closed", "user_id", "item_status")}
    return Task(
        **told,
        group=row["group_name"],
        assignee_id=row["assignee_id"],
        item_version=row["item_version"],
        members=frozenset(row["members"]),
        row={name: value for name, value in row.items() if name != "members"},
    )


async def list_queue(
    conn: Connection, caller: Caller, *, group: str | None, after: Position | None = None, size: int = 50
) -> list[Row] | Rejected:
    """Open tasks of a group, or of all groups of the caller, oldest first."""
    own = [row["team_id"] for row in await queries.list_groups(conn, tenant_id=caller.tenant_id, user_id=caller.user_id)]
    if group is not None and group not in own and MAY_LEAD.isdisjoint(caller.roles):
        return _not_in_group("see the queue")
    opened, item = after or (None, None)
    rows = await queries.list_queue(
        conn,
        tenant_id=caller.tenant_id,
        groups=own if group is None else [group],
        after_opened=opened,
        after_item=item,
        size=size,
    )
    return [dict(row) for row in rows]


async def claim(conn: Connection, outbox: Outbox, caller: Caller, work_item_id: str) -> Rejected | None:
    """Take a task from the queue. Raises NotFound."""
    task = await find_task(conn, caller.tenant_id, work_item_id, caller.user_id)
    if (refusal := may_not(task, caller, "claim") or _may_not_assign(task)) is not None:
        return refusal
    if task.assignee_id == caller.user_id:
        return None
    return _taken(task) if task.assignee_id is not None else await _assign(conn, outbox, caller, task, caller.user_id)


async def release(conn: Connection, outbox: Outbox, caller: Caller, work_item_id: str) -> Rejected | None:
    """Put a task back into the queue. Raises NotFound."""
    task = await find_task(conn, caller.tenant_id, work_item_id, caller.user_id)
    refusal = may_not(task, caller, "release") or _may_not_assign(task) or _not_holding(task, caller)
    if refusal is not None or task.assignee_id is None:
        return refusal
    edited = await work_items.edit_fields(
        conn, outbox, caller, task.work_item_id, {"assignee_id": None}, expected_version=task.item_version
    )
    return edited if isinstance(edited, Rejected) else None


async def reassign(conn: Connection, outbox: Outbox, caller: Caller, work_item_id: str, assignee: str) -> Rejected | None:
    """Give a task to another member of the group. Raises NotFound."""
    task = await find_task(conn, caller.tenant_id, work_item_id, caller.user_id, assignee)
    refusal = may_not(task, caller, "reassign") or _may_not_assign(task) or _not_holding(task, caller)
    if refusal is not None:
        return refusal
    if assignee not in task.members or assignee == task.user_id:
        return _not_in_group("be given its tasks, and nobody reviews his own journey")
    return None if task.assignee_id == assignee else await _assign(conn, outbox, caller, task, assignee)


async def decide(
    conn: Connection,
    engine: Engine,
    caller: Caller,
    work_item_id: str,
    decision: Decision,
    *,
    reason: str | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Outcome:
    """Approve, reject or return, with the named fields of the case as the reviewer read them. Raises NotFound."""
    task = await find_task(conn, caller.tenant_id, work_item_id, caller.user_id)
    if (refusal := may_not(task, caller, decision)) is not None:
        return refusal
    if task.assignee_id not in (None, caller.user_id) and MAY_LEAD.isdisjoint(caller.roles):
        return _taken(task)
    command = ReviewDecided(
        instance_id=task.instance_id,
        work_item_id=task.work_item_id,
        decision=decision,
        decided_by=caller.user_id,
        task=task.task,
        edited_fields=tuple(fields or ()),
        data=dict(fields) if fields else None,
        reason=reason,
    )
    outcome = await order(conn, engine, caller, command)
    # Somebody else was quicker: a decision that changes nothing is no success.
    return _over(task) if isinstance(outcome, Unchanged) else outcome


async def _assign(conn: Connection, outbox: Outbox, caller: Caller, task: Task, assignee: str) -> Rejected | None:
    command = ApplyAction(
        work_item_id=task.work_item_id, action="Assign", new_assignee_id=assignee, expected_version=task.item_version
    )
    outcome = await work_items.apply_action(conn, outbox, caller, command)
    return outcome if isinstance(outcome, Rejected) else None


def may_not(task: Task, caller: Caller, what: str) -> Rejected | None:
    """Why the caller has nothing to do with an open task, or None. `task` was asked about him."""
    if caller.user_id == task.user_id:
        return Rejected("PermissionDenied", f"{what} a review task: nobody reviews his own journey")
    if caller.user_id not in task.members and MAY_LEAD.isdisjoint(caller.roles):
        return _not_in_group(what)
    return _over(task) if task.is_over else None


def _may_not_assign(task: Task) -> Rejected | None:
    if task.item_status is None:
        return Rejected("ReviewNotReady", "The task's work item is still being made; try again in a moment")
    return None


def _not_holding(task: Task, caller: Caller) -> Rejected | None:
    return _taken(task) if task.assignee_id != caller.user_id and MAY_LEAD.isdisjoint(caller.roles) else None


def _over(task: Task) -> Rejected:
    return Rejected("ReviewClosed", "The task was decided or withdrawn before", {"instanceId": task.instance_id})


def _taken(task: Task) -> Rejected:
    return Rejected("ReviewTaken", "Somebody else has the task, or nobody; claim it, or ask a supervisor")


def _not_in_group(what: str) -> Rejected:
    return Rejected("NotInGroup", f"Only members of the task's group may {what}")
