"""The Kafka door to cases: commands to store and remove (UC-01). The other doors are `api` and other subjects' transactions.

A thin door: who sent it comes from the registry of senders, everything else from `domain.cases.batch`, which shares
decisions, sealing, store and events with the HTTP door. A command's variables are readable on its topic until they expire,
and where a command is parked; nothing here writes them anywhere.
"""

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from domain.cases import batch
from domain.cases.followed_classes import FollowedClasses
from domain.cases.sealing import Keys
from domain.outbox import Outbox
from processors.shell import AppliedSequences, Decided, Message
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.cases import RemoveCase, StoreSnapshot
from schemas.envelope import caused_by
from schemas.models import Payload
from schemas.registry import CASES
from schemas.senders import sender

# Users that are no persons: only a sender of ours may say that it is one of them.
_RESERVED = ("system:", "service:")


class Cases:
    """The processor of group `cases`. Its inbox rows stay for ever, so an offset moved back repeats nothing."""

    group = CASES
    latest_wins = False
    interests: Mapping[str, type[Payload]] = {model.TYPE: model for model in (StoreSnapshot, RemoveCase)}

    def __init__(self, outbox: Outbox, keys: Keys, classes: FollowedClasses) -> None:
        self._outbox, self._keys, self._classes = outbox, keys, classes
        self.sequences = AppliedSequences()
        self._names: batch.Names = {}

    def key(self, message: Message) -> Hashable:
        return _asked(message).key

    async def prepare(self, conn: Connection, messages: Sequence[Message]) -> None:
        """A key service may be slow: the ring asks it now."""
        known = await self._classes.read(conn)
        self._names = await batch.warm_keys(self._keys, known, [_asked(message) for message in messages])

    async def load(self, conn: Connection, messages: Sequence[Message]) -> dict[Any, batch.State]:
        known = await self._classes.read(conn)
        # Read once, kept no longer: the texts are a person's data.
        names, self._names = self._names, {}
        return await batch.load(conn, self._keys, known, [_asked(message) for message in messages], names)

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
    """Rights come from the registered sender; `requestedBy` only names the person for the audit fields."""
    event, known = message.event, sender(message.event.source)
    person = getattr(message.payload, "requested_by", None)
    if person and person.startswith(_RESERVED) and not known.internal:
        person = None
    return Caller(
        tenant_id=event.tenant,
        user_id=person or f"service:{event.source}",
        roles=known.roles,
        source=known.work_item_source,
        internal=known.internal,
        traceparent=event.traceparent,
        causation=caused_by(event),
    )
