"""How decisions become outbox events: numbered ones for what happened, one without a number for a refused message."""

from collections.abc import Iterable
from datetime import datetime
from typing import cast, get_args

from domain.outbox import OutboxEvent
from domain.work_items.decisions import Decided, Numbered
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.work_items import Action, ApplyAction, CreateWorkItem, Status, WorkItemActionRefused

TOPIC = "work-items.events.v1"
COMMANDS = "work-items.commands.v1"
AGGREGATE = "work_item"


def told(decided: Decided, caller: Caller) -> list[OutboxEvent]:
    """The events of a decision, in order. The caller holds the item's lock, which the numbers were drawn under."""
    return numbered(decided.events, decided.after.id, decided.after.last_action_at, caller)


def numbered(events: Iterable[Numbered], work_item_id: str, at: datetime, caller: Caller) -> list[OutboxEvent]:
    """Events of one item as the outbox takes them."""
    return [
        OutboxEvent(
            topic=TOPIC,
            tenant_id=caller.tenant_id,
            aggregate=AGGREGATE,
            aggregate_id=work_item_id,
            payload=event.payload,
            occurred_at=at,
            created_by=caller.user_id,
            sequence=event.sequence,
            traceparent=caller.traceparent,
            causation=caller.causation,
        )
        for event in events
    ]


def ordered(command: CreateWorkItem | ApplyAction, caller: Caller, now: datetime) -> OutboxEvent:
    """A command to ourselves from another subject of this house, which must not wait for the item's lock."""
    return OutboxEvent(
        topic=COMMANDS,
        tenant_id=caller.tenant_id,
        aggregate=AGGREGATE,
        aggregate_id=command.work_item_id,
        payload=command,
        occurred_at=now,
        created_by=caller.user_id,
        traceparent=caller.traceparent,
        causation=caller.causation,
    )


def refused(
    rejected: Rejected, work_item_id: str, caller: Caller, now: datetime, *, command_source: str, command_id: str
) -> OutboxEvent:
    """The answer to a message that was refused. The item did not change, so it has no number."""
    details = rejected.details
    return OutboxEvent(
        topic=TOPIC,
        tenant_id=caller.tenant_id,
        aggregate=AGGREGATE,
        aggregate_id=work_item_id,
        payload=WorkItemActionRefused(
            work_item_id=work_item_id,
            command_source=command_source,
            command_id=command_id,
            action=_repeatable(details.get("action")),
            code=rejected.code,
            status=cast("Status | None", details.get("status")),
            version=cast("int | None", details.get("version")),
            allowed_next_actions=cast("tuple[Action, ...]", details.get("allowedNextActions", ())),
            refused_at=now,
        ),
        occurred_at=now,
        created_by=caller.user_id,
        traceparent=caller.traceparent,
        causation=caller.causation,
    )


def _repeatable(action: object) -> str | None:
    # Events are kept for ever: only a name of ours is repeated, a sender finds the rest by its command's id.
    return str(action) if action in get_args(Action) and action != "Create" else None
