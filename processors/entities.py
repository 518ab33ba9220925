"""The Kafka door to entities: every change of every entity, and the commands to those that we manage (RU-13, RU-1).

A thin door: who sent it comes from the registry of senders, everything else from `domain.entities.batch`. A command to an
entity of another owner only counts as seen: its upstream reads the same topic.
"""

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from domain.entities import batch
from domain.entities.decisions import Command
from domain.outbox import Outbox
from processors.shell import AppliedSequences, Decided, Message
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.entities import (
    AddTag,
    AssignTo,
    ChangeStage,
    ChangeStatus,
    CreateActivity,
    EntityChangeEvent,
    RemoveTag,
    UpdateField,
    contradiction,
)
from schemas.envelope import caused_by
from schemas.errors import UndecodableMessage
from schemas.models import Payload
from schemas.registry import ENTITIES
from schemas.senders import sender

MODELS: tuple[type[Payload], ...] = (
    EntityChangeEvent,
    *(UpdateField, ChangeStage, ChangeStatus, AddTag, RemoveTag, AssignTo, CreateActivity),
)


class Entities:
    """The processor of group `entities`. Decided commands are remembered in a table of their own, for ever."""

    group = ENTITIES
    latest_wins = False
    interests: Mapping[str, type[Payload]] = {model.TYPE: model for model in MODELS}

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.sequences = AppliedSequences()

    def key(self, message: Message) -> Hashable:
        return _asked(message).key

    async def load(self, conn: Connection, messages: Sequence[Message]) -> dict[Any, batch.State]:
        return await batch.load(conn, [_asked(message) for message in messages])

    def decide(self, state: batch.State | None, message: Message, now: datetime) -> Decided[batch.State, batch.Ruling]:
        assert state is not None, "load gives every message's key a state"
        if isinstance(message.payload, EntityChangeEvent) and (problem := _contradiction(message, message.payload)):
            raise UndecodableMessage(problem)
        ruling = batch.decide(state, _asked(message), now)
        return Decided(ruling.state, ruling)

    async def save(
        self, conn: Connection, states: Mapping[Any, batch.State], outputs: Sequence[batch.Ruling], now: datetime
    ) -> None:
        await batch.save(conn, self._outbox, outputs, now)


def _contradiction(message: Message, change: EntityChangeEvent) -> str | None:
    return contradiction(message.event.tenant, message.event.id, change)


def _asked(message: Message) -> batch.Message:
    event = message.event
    payload = cast("EntityChangeEvent | Command", message.payload)
    return batch.Message(payload, _caller(message), event.source, sender(event.source).internal, event.time)


def _caller(message: Message) -> Caller:
    """Rights come from the registered sender; `requestedBy` only names the person or rule for `changedBy`."""
    event, known = message.event, sender(message.event.source)
    person = getattr(message.payload, "requested_by", None)
    return Caller(
        tenant_id=event.tenant,
        user_id=person or f"service:{event.source}",
        roles=known.roles,
        source=known.work_item_source,
        internal=known.internal,
        traceparent=event.traceparent,
        causation=caused_by(event),
    )
