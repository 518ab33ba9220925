"""The Kafka door to onboarding, group `onboarding`: commands to instances. The other doors are `api` and the effects worker.

A thin door: who sent it comes from the registry of senders, everything else from `domain.onboarding.batch`, which shares
decisions, sealing, store and events with the other doors. What is refused changes nothing; its sender reads the instance.
"""

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from domain.onboarding import batch
from domain.onboarding.actors import actors_of_roles
from domain.onboarding.definitions import FollowedFlows
from domain.onboarding.sealing import Keys
from domain.outbox import Outbox
from processors.shell import AppliedSequences, Decided, Message
from runtime.sql import Connection
from schemas.envelope import caused_by
from schemas.models import Payload
from schemas.onboarding import (
    Advance,
    CancelInstance,
    Command,
    ReopenInstance,
    ReviewDecided,
    StartInstance,
    StepFailed,
    StepSucceeded,
    TimerFired,
)
from schemas.registry import ONBOARDING, sender


class Onboarding:
    """The processor of group `onboarding`. Its inbox rows stay for ever, so an offset moved back repeats nothing."""

    group = ONBOARDING
    latest_wins = False
    interests: Mapping[str, type[Payload]] = {
        model.TYPE: model
        for model in (
            StartInstance,
            Advance,
            StepSucceeded,
            StepFailed,
            TimerFired,
            ReviewDecided,
            CancelInstance,
            ReopenInstance,
        )
    }

    def __init__(self, outbox: Outbox, keys: Keys, flows: FollowedFlows) -> None:
        self._outbox, self._keys, self._flows = outbox, keys, flows
        self.sequences = AppliedSequences()

    def key(self, message: Message) -> Hashable:
        return _asked(message).key

    async def prepare(self, conn: Connection, messages: Sequence[Message]) -> None:
        """A key service may be slow: the ring asks it now."""
        await batch.warm_keys(self._keys, [_asked(message) for message in messages])

    async def load(self, conn: Connection, messages: Sequence[Message]) -> dict[Any, batch.State]:
        return await batch.load(conn, self._keys, self._flows, [_asked(message) for message in messages])

    def decide(self, state: batch.State | None, message: Message, now: datetime) -> Decided[batch.State, batch.Ruling]:
        assert state is not None, "load gives every message's instance a state"
        ruling = batch.decide(state, _asked(message), now)
        return Decided(ruling.state, ruling)

    async def save(
        self, conn: Connection, states: Mapping[Any, batch.State], outputs: Sequence[batch.Ruling], now: datetime
    ) -> None:
        await batch.save(conn, self._outbox, self._keys, self._flows, outputs, now)


def _asked(message: Message) -> batch.Message:
    """Rights come from the registered sender; `requestedBy` and `decidedBy` only name the person."""
    event, known = message.event, sender(message.event.source)
    person = getattr(message.payload, "requested_by", None) or getattr(message.payload, "decided_by", None)
    return batch.Message(
        tenant_id=event.tenant,
        command=cast(Command, message.payload),
        by=person or f"service:{event.source}",
        actors=actors_of_roles(known.roles),
        id=f"{event.source}|{event.id}",
        traceparent=event.traceparent,
        causation=caused_by(event),
    )
