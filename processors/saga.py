"""Group `saga`: decides what work items mean for the instances behind them, and emits commands; it changes no instance itself.

A thin door to `domain.onboarding.coupling`. A command that comes twice changes nothing: an instance that began, a decided
task, an instance that ended and a cycle that is over say so themselves.
"""

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any

from domain.onboarding import coupling
from domain.onboarding.definitions import FollowedFlows
from domain.outbox import Outbox, OutboxEvent
from processors.shell import AppliedSequences, Decided, Message
from runtime.sql import Connection
from schemas.envelope import caused_by
from schemas.models import Payload
from schemas.registry import SAGA
from schemas.work_items import WorkItemCreated, WorkItemStatusChanged


class Saga:
    """The processor of group `saga`."""

    group = SAGA
    latest_wins = False
    interests: Mapping[str, type[Payload]] = {model.TYPE: model for model in (WorkItemCreated, WorkItemStatusChanged)}

    def __init__(self, outbox: Outbox, flows: FollowedFlows) -> None:
        self._outbox, self._flows = outbox, flows
        self.sequences = AppliedSequences()

    def key(self, message: Message) -> Hashable:
        return (message.tenant_id, _news(message).work_item_id)

    async def load(self, conn: Connection, messages: Sequence[Message]) -> dict[Any, coupling.Behind]:
        news = [(message.tenant_id, _news(message)) for message in messages]
        keys = {(tenant, event.work_item_id) for tenant, event in news}
        created = [(tenant, event) for tenant, event in news if isinstance(event, WorkItemCreated)]
        return {**await coupling.look_behind(conn, self._flows, keys, created)}

    def decide(
        self, state: coupling.Behind | None, message: Message, now: datetime
    ) -> Decided[coupling.Behind, Sequence[OutboxEvent]]:
        assert state is not None, "load gives every message's item a state"
        event = message.event
        orders = coupling.orders_of(state, _news(message), message.tenant_id, now, caused_by(event), event.traceparent)
        return Decided(state, orders)

    async def save(
        self,
        conn: Connection,
        states: Mapping[Any, coupling.Behind],
        outputs: Sequence[Sequence[OutboxEvent]],
        now: datetime,
    ) -> None:
        await self._outbox.append(conn, [event for events in outputs for event in events])


def _news(message: Message) -> coupling.News:
    payload = message.payload
    assert isinstance(payload, WorkItemCreated | WorkItemStatusChanged)
    return payload
