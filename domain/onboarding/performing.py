"""Orders carried out, in the transaction of the decision that gave them: calls, timers, tasks, incidents. Batch first.

| order | becomes |
|---|---|
| RunStep, CancelCall | an effect of its own per attempt (`retries` 0: attempts are the engine's), or its cancellation |
| ArmTimer, DisarmTimer | a timer; what it does when due is in `firing` |
| OpenTask, CloseTask | a work item in the group's queue, by a command; withdrawn when nobody need decide any more |
| RaiseIncident, ResolveIncident | an incident of the instance |
| PersistCase, Remind | nothing here: `persisting` and `reminding`, which open the case |

Locks in the order of DESIGN section 5: the caller holds the instances, then effects, then timers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from domain.effects.commands import cancel_unclaimed, plan
from domain.effects.effect import NewEffect, Outcome
from domain.incidents import Incident, close_incidents, open_incidents
from domain.onboarding import calls
from domain.onboarding.calls import KIND, Planned, call_id
from domain.onboarding.instance import Instance
from domain.onboarding.orders import (
    ArmTimer,
    CancelCall,
    CloseTask,
    DisarmTimer,
    OpenTask,
    Order,
    RaiseIncident,
    ResolveIncident,
    RunStep,
)
from domain.onboarding.store import queries
from domain.outbox import Outbox
from domain.timers.commands import arm, disarm
from domain.timers.timer import Timer
from domain.work_items.publishing import ordered
from domain.work_items.reads import statuses_of
from domain.work_items.transitions import BEFORE_WORK, ENDED
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.work_items import ApplyAction, CreateWorkItem

TIMER = "onboarding"
OBJECT = "onboarding"
PROCESS = "onboarding-review"
# Never change it: work items are known by it.
_TASKS = UUID("6c0b7f0e-9f83-5a6e-8a53-6f5c2a3c8d11")


@dataclass(frozen=True, slots=True)
class Ordered:
    """One order with the instance that it is for, as decided so far, and its sealed input where it is a call."""

    instance: Instance
    order: Order
    planned: Planned | None = None


async def perform(conn: Connection, outbox: Outbox, wanted: Sequence[Ordered], now: datetime) -> list[Outcome]:
    """Carry out orders in their order. Calls that were cancelled before anybody claimed them: their outcomes, to be folded."""
    await _tasks(conn, outbox, wanted, now)
    await _incidents(conn, wanted)
    await plan(conn, [effect_of(one) for one in wanted if isinstance(one.order, RunStep)])
    ended = await cancel_unclaimed(
        conn,
        [
            (one.instance.tenant_id, call_id(one.instance.tenant_id, one.instance.id, one.order.step, one.order.attempt))
            for one in wanted
            if isinstance(one.order, CancelCall)
        ],
    )
    await _timers(conn, wanted)
    return ended


def task_item(tenant_id: str, instance_id: str, task: int) -> str:
    """The work item that asks for a decision: the same however often it is ordered."""
    return str(uuid5(_TASKS, f"{tenant_id}|{instance_id}|{task}"))


def timer_key(instance_id: str, name: str) -> str:
    return f"onboarding/{instance_id}/{name}"


def effect_of(one: Ordered) -> NewEffect:
    """The call of an attempt."""
    assert isinstance(one.order, RunStep)
    assert one.planned is not None, "a call is planned with its input"
    instance, order = one.instance, one.order
    return NewEffect(
        tenant_id=instance.tenant_id,
        id=call_id(instance.tenant_id, instance.id, order.step, order.attempt),
        owner_kind=calls.OWNER,
        owner_id=instance.id,
        index=order.step,
        occurrence=str(order.attempt),
        kind=KIND[one.planned.handler_kind],
        request=calls.request_of(instance, order, one.planned),
        subject_id=instance.user_id,
        endpoint=f"handler:{order.handler}",
        retry=calls.ONCE,
    )


async def _timers(conn: Connection, wanted: Sequence[Ordered]) -> None:
    last = timers_of(wanted)
    await disarm(conn, {key: None for key, timer in last.items() if timer is None})
    await arm(conn, [timer for timer in last.values() if timer is not None])


def timers_of(wanted: Sequence[Ordered]) -> dict[tuple[str, str], Timer | None]:
    """What is last said of each timer (tenant, key): armed so, or None, disarmed."""
    last: dict[tuple[str, str], Timer | None] = {}
    for one in wanted:
        instance, order = one.instance, one.order
        if isinstance(order, ArmTimer):
            key = timer_key(instance.id, order.name)
            command = {"instanceId": instance.id, "timer": order.name, "stateEntry": order.entry}
            # The instance's version only grows: what is armed later moves what was armed, or has fired, before.
            last[instance.tenant_id, key] = Timer(instance.tenant_id, key, TIMER, order.due_at, command, entry=instance.version)
        elif isinstance(order, DisarmTimer):
            last[instance.tenant_id, timer_key(instance.id, order.name)] = None
    return last


async def _tasks(conn: Connection, outbox: Outbox, wanted: Sequence[Ordered], now: datetime) -> None:
    opened = [(one.instance, one.order) for one in wanted if isinstance(one.order, OpenTask)]
    if opened:
        await queries.insert_review_tasks(
            conn,
            tenant_ids=[instance.tenant_id for instance, _ in opened],
            work_item_ids=[task_item(instance.tenant_id, instance.id, order.task) for instance, order in opened],
            ids=[instance.id for instance, _ in opened],
            tasks=[order.task for _, order in opened],
            groups=[order.group for _, order in opened],
        )
        await outbox.append(
            conn, [ordered(_new_item(instance, order), _engine(instance.tenant_id), now) for instance, order in opened]
        )
    closed = [(one.instance, one.order.task) for one in wanted if isinstance(one.order, CloseTask)]
    if closed:
        await _withdraw(conn, outbox, closed, now)


async def _withdraw(conn: Connection, outbox: Outbox, closed: Sequence[tuple[Instance, int]], now: datetime) -> None:
    rows = await queries.close_review_tasks(
        conn,
        tenant_ids=[instance.tenant_id for instance, _ in closed],
        ids=[instance.id for instance, _ in closed],
        tasks=[task for _, task in closed],
    )
    items = sorted((row["tenant_id"], row["work_item_id"]) for row in rows)
    statuses = await statuses_of(conn, items)
    commands = []
    for tenant_id, item in items:
        status = statuses.get((tenant_id, item))
        if status in ENDED:
            continue
        # Nobody has begun, or the item is not even made yet: it is withdrawn. Where somebody works it is closed.
        action = "Cancel" if status is None or status in BEFORE_WORK else "AutoCloseFromWorkflow"
        commands.append(ordered(ApplyAction(work_item_id=item, action=action), _engine(tenant_id), now))
    await outbox.append(conn, commands)


def _new_item(instance: Instance, order: OpenTask) -> CreateWorkItem:
    about = f"step {order.step} of {order.state}" if order.step else order.state
    return CreateWorkItem(
        work_item_id=task_item(instance.tenant_id, instance.id, order.task),
        title=f"Review {instance.flow}: {about}",
        business_group=order.group,
        process=PROCESS,
        request_type="review",
    )


def _engine(tenant_id: str) -> Caller:
    return Caller(tenant_id, "system:onboarding", frozenset({"engine"}), "WORKFLOW_ENGINE", internal=True)


async def _incidents(conn: Connection, wanted: Sequence[Ordered]) -> None:
    over = [
        (one.instance.tenant_id, one.order.kind, OBJECT, one.instance.id)
        for one in wanted
        if isinstance(one.order, ResolveIncident)
    ]
    await close_incidents(conn, over, "system:onboarding")
    await open_incidents(conn, [_incident(one.instance, one.order) for one in wanted if isinstance(one.order, RaiseIncident)])


def _incident(instance: Instance, order: RaiseIncident) -> Incident:
    step = instance.steps[order.step]
    return Incident(
        tenant_id=instance.tenant_id,
        kind=order.kind,
        fingerprint=f"{instance.flow}|{step.handler}",
        summary=_SUMMARIES[order.kind],
        object_type=OBJECT,
        object_id=instance.id,
        cure=f"casestream instance show {instance.id}; mend the cause, then `casestream instance retry {instance.id}`",
        detail={"step": order.step, "handler": step.handler, "state": step.state, "flowVersion": instance.flow_version},
    )


_SUMMARIES = {
    "step-failed": "a step of an onboarding failed for good and nobody but an operator can go on",
    "compensation-failed": "what an onboarding did could not be undone",
}
