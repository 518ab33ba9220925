"""The Kafka door to onboarding, group `onboarding`: commands to instances. The other doors are `api` and the effects worker.

A thin door: who sent it comes from the registry of senders, everything else from `domain.onboarding.batch`, which shares
decisions, sealing, store and events with the other doors. What is refused changes nothing; its sender reads the instance.

Answers of handlers come on a topic of their own: who may write there answers for steps, and for nothing else, by naming the
call that he was asked.
"""

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from domain.onboarding import batch, coupling
from domain.onboarding.actors import actors_of_roles
from domain.onboarding.asking import answered, answers_its_call
from domain.onboarding.engine import Engine
from domain.onboarding.waiting import end_waiting
from processors.shell import AppliedSequences, Decided, Message
from runtime.sql import Connection
from schemas.envelope import caused_by
from schemas.errors import Rejected
from schemas.models import Payload
from schemas.onboarding import (
    Advance,
    CancelInstance,
    Command,
    CompleteInstance,
    ReopenInstance,
    ReviewDecided,
    StartInstance,
    StepFailed,
    StepSucceeded,
    TimerFired,
)
from schemas.registry import ONBOARDING, STEP_REPLIES
from schemas.senders import sender
from schemas.steps import StepReplied


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
            CompleteInstance,
            StepReplied,
        )
    }

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.sequences = AppliedSequences()

    def key(self, message: Message) -> Hashable:
        return _asked(message).key

    async def prepare(self, conn: Connection, messages: Sequence[Message]) -> None:
        """A key service may be slow: the ring asks it now."""
        await batch.warm_keys(self._engine.keys, [_asked(message) for message in messages])

    async def load(self, conn: Connection, messages: Sequence[Message]) -> dict[Any, batch.State]:
        return await batch.load(conn, self._engine, [_asked(message) for message in messages])

    def decide(self, state: batch.State | None, message: Message, now: datetime) -> Decided[batch.State, batch.Ruling]:
        assert state is not None, "load gives every message's instance a state"
        ruling = batch.decide(state, _asked(message), now)
        return Decided(ruling.state, ruling)

    async def save(
        self, conn: Connection, states: Mapping[Any, batch.State], outputs: Sequence[batch.Ruling], now: datetime
    ) -> None:
        await batch.save(conn, self._engine, outputs, now)
        over = [
            (ruling.message.tenant_id, ruling.message.command.effect_id)
            for ruling in outputs
            if isinstance(ruling.message.command, StepSucceeded | StepFailed) and not isinstance(ruling.outcome, Rejected)
        ]
        await end_waiting(conn, over)
        await coupling.report_refused(conn, outputs)


def _asked(message: Message) -> batch.Message:
    """Rights come from the registered sender; `requestedBy` and `decidedBy` only name the person."""
    event, known = message.event, sender(message.event.source)
    person = getattr(message.payload, "requested_by", None) or getattr(message.payload, "decided_by", None)
    if isinstance(message.payload, StepReplied):
        proven = message.record.position.topic == STEP_REPLIES and answers_its_call(event.tenant, message.payload)
        command: Command = answered(message.payload)
        actors = batch.ENGINE_ACTORS if proven else frozenset()
    else:
        command, actors = cast(Command, message.payload), actors_of_roles(known.roles)
    return batch.Message(
        tenant_id=event.tenant,
        command=command,
        by=person or f"service:{event.source}",
        actors=actors,
        id=f"{event.source}|{event.id}",
        traceparent=event.traceparent,
        causation=caused_by(event),
    )
