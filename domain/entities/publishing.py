"""How changes and commands become outbox events. The aggregate is the entity: key `tenant|type|id` on both topics."""

from datetime import datetime
from uuid import UUID, uuid5

from domain.entities.decisions import Changed, Command, event_of
from domain.outbox import Origin, Outbox, OutboxEvent
from schemas.caller import Caller
from schemas.entities import EntityChangeEvent

EVENTS = "crm.entity.events"
COMMANDS = "crm.entity.commands"

_NAMESPACE = UUID("6d1f1c1e-5a0f-4d0e-9a55-c2b1c9e0a7d4")


def changed_event(changed: Changed, command: Command, caller: Caller) -> EntityChangeEvent:
    """The event of a command's change; its id follows from the command's, so that a trace finds one by the other."""
    identity = uuid5(_NAMESPACE, "/".join((caller.tenant_id, *changed.after.key[1:], command.command_id)))
    return event_of(changed, caller, str(identity))


def told(outbox: Outbox, changed: Changed, event: EntityChangeEvent, caller: Caller) -> OutboxEvent:
    """Our own event of a managed entity, numbered."""
    return OutboxEvent(
        topic=EVENTS,
        tenant_id=event.tenant_id,
        aggregate=event.entity_type,
        aggregate_id=event.entity_id,
        payload=event,
        occurred_at=event.timestamp,
        created_by=caller.user_id,
        sequence=changed.after.event_sequence,
        traceparent=caller.traceparent,
        causation=caller.causation,
        origin=Origin(outbox.source, event.event_id),
    )


def passed_on(event: EntityChangeEvent, caller: Caller, source: str) -> OutboxEvent:
    """An upstream's event that came through the publish door: its own identity, and no number of ours."""
    return OutboxEvent(
        topic=EVENTS,
        tenant_id=event.tenant_id,
        aggregate=event.entity_type,
        aggregate_id=event.entity_id,
        payload=event,
        occurred_at=event.timestamp,
        created_by=caller.user_id,
        traceparent=caller.traceparent,
        causation=caller.causation,
        origin=Origin(source, event.event_id),
    )


def ordered(command: Command, caller: Caller, now: datetime) -> OutboxEvent:
    """A command to an entity's owner. Commands carry no number: who reads them knows them by `commandId`."""
    return OutboxEvent(
        topic=COMMANDS,
        tenant_id=caller.tenant_id,
        aggregate=command.entity_type,
        aggregate_id=command.entity_id,
        payload=command,
        occurred_at=now,
        created_by=caller.user_id,
        traceparent=caller.traceparent,
        causation=caller.causation,
    )
