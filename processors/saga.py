"""Group `saga`: decides what work items mean for the instances behind them, and emits commands; it changes no instance itself.

A thin door to `domain.onboarding.coupling`. A command that comes twice changes nothing: a decided task, a cancelled instance
and a cycle that is over say so themselves.
"""

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any

from domain.onboarding import coupling
from domain.outbox import Outbox, OutboxEvent
from processors.shell import AppliedSequences, Decided, Message
from runtime.sql import Connection
from schemas.models import Payload
from schemas.registry import SAGA
from schemas.work_items import WorkItemStatusChanged


class Saga:
    """The processor of group `saga`."""

    group = SAGA
    latest_wins = False
    interests: Mapping[str, type[Payload]] = {WorkItemStatusChanged.TYPE: WorkItemStatusChanged}

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.sequences = AppliedSequences()

    def key(self, message: Message) -> Hashable:
        payload = message.payload
        assert isinstance(payload, WorkItemStatusChanged)
        return (message.tenant_id, payload.work_item_id)

    async def load(self, conn: Connection, messages: Sequence[Message]) -> dict[Any, coupling.Behind]:
        keys = {(message.tenant_id, message.payload.work_item_id) for message in messages if message.payload is not None}  # type: ignore[attr-defined]
        return {**await coupling.look_behind(conn, keys)}

    def decide(
        self, state: coupling.Behind | None, message: Message, now: datetime
    ) -> Decided[coupling.Behind, Sequence[OutboxEvent]]:
        assert state is not None
        assert isinstance(message.payload, WorkItemStatusChanged)
        return Decided(state, coupling.orders_of(state, message.payload, message.tenant_id, now))

    async def save(
        self,
        conn: Connection,
        states: Mapping[Any, coupling.Behind],
        outputs: Sequence[Sequence[OutboxEvent]],
        now: datetime,
    ) -> None:
        await self._outbox.append(conn, [event for events in outputs for event in events])
