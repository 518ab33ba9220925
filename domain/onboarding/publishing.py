"""How histories become outbox events, and how other parts of this house order something of an instance.

Every event of an instance leaves under its number. INSTANCE_STATUS_CHANGED goes as it is, the others as WORKFLOW_EVENT: ids,
codes and times, so that a topic that is kept for ever holds nothing about a person.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cache

from domain.onboarding.history import Recorded
from domain.onboarding.instance import Instance
from domain.outbox import Origin, OutboxEvent
from schemas.onboarding import (
    CancelInstance,
    CompleteInstance,
    InstanceStatusChanged,
    ReopenInstance,
    ReviewDecided,
    StartInstance,
    StepFailed,
    TimerFired,
    WorkflowEventTold,
)
from schemas.steps import StepRequested
from schemas.workflow_events import WorkflowEvent

TOPIC = "onboarding.events.v1"
COMMANDS = "onboarding.commands.v1"
REQUESTS = "onboarding.step-requests.v1"
AGGREGATE = "onboarding"
Ordered = StartInstance | TimerFired | ReviewDecided | CancelInstance | ReopenInstance | CompleteInstance | StepFailed
_SHOWN = ("state", "action", "step", "attempt", "phase", "code")


def told(
    instance: Instance, history: Iterable[Recorded], by: str, traceparent: str | None, causation: tuple[str, ...]
) -> list[OutboxEvent]:
    """The events of one decision, in order. The caller holds the instance's lock, which their numbers were drawn under."""
    return [
        OutboxEvent(
            topic=TOPIC,
            tenant_id=instance.tenant_id,
            aggregate=AGGREGATE,
            aggregate_id=instance.id,
            payload=_payload(instance, row),
            occurred_at=_at(row),
            created_by=by,
            sequence=row.number,
            traceparent=traceparent,
            causation=causation,
        )
        for row in history
    ]


def ordered(
    command: Ordered,
    tenant_id: str,
    by: str,
    now: datetime,
    causation: tuple[str, ...] = (),
    traceparent: str | None = None,
) -> OutboxEvent:
    """A command to an instance, from a part of this house that must not wait for its lock."""
    return OutboxEvent(
        topic=COMMANDS,
        tenant_id=tenant_id,
        aggregate=AGGREGATE,
        aggregate_id=command.instance_id,
        payload=command,
        occurred_at=now,
        created_by=by,
        causation=causation,
        traceparent=traceparent,
    )


def requested(request: StepRequested, tenant_id: str, source: str, now: datetime) -> OutboxEvent:
    """What a handler behind Kafka is asked, under the call's id: a call that is made again is known by it."""
    return OutboxEvent(
        topic=REQUESTS,
        tenant_id=tenant_id,
        aggregate=AGGREGATE,
        aggregate_id=request.instance_id,
        payload=request,
        occurred_at=now,
        created_by="system:onboarding",
        origin=Origin(source, request.effect_id),
    )


def _payload(instance: Instance, row: Recorded) -> InstanceStatusChanged | WorkflowEventTold:
    event = row.event
    if isinstance(event, InstanceStatusChanged):
        return event
    shown = {name: value for name in _shown_of(type(event)) if (value := getattr(event, name)) is not None}
    return WorkflowEventTold(instance_id=instance.id, event_type=event.TYPE, flow=instance.flow, at=event.at, **shown)


@cache
def _shown_of(kind: type[WorkflowEvent]) -> tuple[str, ...]:
    # A model looks long for a field that it does not have.
    return tuple(name for name in _SHOWN if name in kind.model_fields)


def _at(row: Recorded) -> datetime:
    return row.event.changed_at if isinstance(row.event, InstanceStatusChanged) else row.event.at
