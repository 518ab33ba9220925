"""One command's turn: what is told becomes part of the history at once, so that each rule sees what the one before it did."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from domain.onboarding.evolving import apply, copied, evolve
from domain.onboarding.flow import Flow, Flows
from domain.onboarding.instance import Instance
from domain.onboarding.orders import Order, changes, wanted
from schemas.errors import Rejected
from schemas.flows import Actor
from schemas.workflow_events import WorkflowEvent

ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks and when. `actors`: what the token or the registered sender may be; SYSTEM is the engine's own.

    `jitter`: from 0 to 1, drawn by the caller, for the pause before a retry.
    """

    tenant_id: str
    by: str
    actors: frozenset[Actor]
    now: datetime
    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class Decided:
    """Yes: the next events of the history, in order, the instance after them, and what the world must do."""

    events: tuple[WorkflowEvent, ...]
    instance: Instance
    orders: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Yes, and nothing happens: a duplicate, or news that is old. `reason` is for the log."""

    instance: Instance
    reason: str


Outcome = Decided | Unchanged | Rejected


@dataclass(slots=True)
class Turn:
    """What was decided so far. `instance` is the turn's own until it ends."""

    flows: Flows
    flow: Flow
    instance: Instance
    context: Context
    before: Instance | None
    events: list[WorkflowEvent] = field(default_factory=list)
    notices: list[Order] = field(default_factory=list)

    @classmethod
    def on(cls, flows: Flows, flow: Flow, instance: Instance, context: Context) -> "Turn":
        """A turn on an instance that exists."""
        return cls(flows, flow, copied(instance), context, instance)

    @classmethod
    def first(cls, flows: Flows, flow: Flow, event: WorkflowEvent, context: Context) -> "Turn":
        """The turn that begins an instance."""
        return cls(flows, flow, evolve(None, event), context, None, [event])

    @property
    def now(self) -> datetime:
        return self.context.now

    def tell(self, *events: WorkflowEvent) -> None:
        """The next events of the history."""
        for event in events:
            self.events.append(event)
            apply(self.instance, event)

    def decided(self) -> Decided:
        """The turn is over."""
        before = {} if self.before is None else wanted(self.before)
        orders: Iterable[Order] = changes(before, wanted(self.instance), self.instance)
        return Decided(tuple(self.events), self.instance, (*orders, *self.notices))
