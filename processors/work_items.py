"""The Kafka door to work items: commands, and the news of coupled instances (WI-1, WI-7). The other door is `api`.

A thin door: who sent it comes from the registry of senders, everything else from `domain.work_items.batch`, which shares
decisions, store and events with the HTTP door.
"""

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from domain.outbox import Outbox
from domain.work_items import batch
from processors.shell import AppliedSequences, Decided, Message
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.envelope import caused_by
from schemas.models import Payload
from schemas.onboarding import InstanceStatusChanged
from schemas.registry import WORK_ITEMS
from schemas.senders import sender
from schemas.work_items import ApplyAction, CreateWorkItem


class WorkItems:
    """The processor of group `work-items`. Its inbox rows stay for ever, so an offset moved back repeats nothing."""

    group = WORK_ITEMS
    latest_wins = False
    interests: Mapping[str, type[Payload]] = {
        model.TYPE: model for model in (CreateWorkItem, ApplyAction, InstanceStatusChanged)
    }

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.sequences = AppliedSequences()

    def key(self, message: Message) -> Hashable:
        return _asked(message).key

    async def load(self, conn: Connection, messages: Sequence[Message]) -> dict[Any, batch.State]:
        return await batch.load(conn, [_asked(message) for message in messages])

    def decide(self, state: batch.State | None, message: Message, now: datetime) -> Decided[batch.State, batch.Ruling]:
        assert state is not None, "load gives every message's key a state"
        ruling = batch.decide(state, _asked(message), now)
        return Decided(ruling.state, ruling)

    async def save(
        self, conn: Connection, states: Mapping[Any, batch.State], outputs: Sequence[batch.Ruling], now: datetime
    ) -> None:
        await batch.save(conn, self._outbox, outputs, now)


def _asked(message: Message) -> batch.Message:
    return batch.Message(cast(batch.Command, message.payload), _caller(message), message.event.source, message.event.id)


def _caller(message: Message) -> Caller:
    """Rights come from the registered sender; `requestedBy` only names the person for the history."""
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
