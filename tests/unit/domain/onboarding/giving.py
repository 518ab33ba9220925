"""Given, when, then for the decider: a small flow, an engine that carries nothing out, and short words for commands."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.onboarding.decisions import decide
from domain.onboarding.evolving import fold
from domain.onboarding.flow import Flows, flows_of
from domain.onboarding.flows.files import read_directory
from domain.onboarding.history import Recorded, recorded
from domain.onboarding.instance import Instance
from domain.onboarding.orders import Order
from domain.onboarding.turn import Context, Decided, Outcome, Unchanged
from schemas.errors import Rejected
from schemas.flows import Actor, FlowDefinition
from schemas.onboarding import (
    Advance,
    CancelInstance,
    Command,
    ReviewDecided,
    StartInstance,
    StepFailed,
    StepSucceeded,
    TimerFired,
)

ID = "i-1"
START = datetime(2026, 1, 5, 8, tzinfo=UTC)
SHIPPED: dict[str, FlowDefinition] = {
    file.definition.flow: file.definition for file in read_directory() if file.definition is not None
}


@dataclass
class Engine:
    """An instance and everything that was decided about it. `orders`: of the last decision."""

    flows: Flows
    now: datetime = START
    history: list[Recorded] = field(default_factory=list)
    orders: tuple[Order, ...] = ()

    @classmethod
    def of(cls, *definitions: FlowDefinition, user: str = "u-1", **more: Any) -> "Engine":
        """A started instance of the first definition."""
        engine = cls(flows_of(*definitions))
        first = definitions[0]
        start = StartInstance(instance_id=ID, flow=first.flow, flow_version=first.version, user_id=user, **more)
        engine.must(start, user, "USER")
        return engine

    @property
    def instance(self) -> Instance:
        found = fold(row.event for row in self.history)
        assert found is not None
        return found

    @property
    def types(self) -> list[str]:
        return [row.event.TYPE for row in self.history]

    def give(self, command: Command, by: str = "engine", *actors: Actor) -> Outcome:
        before = self.instance if self.history else None
        context = Context("acme", by, frozenset(actors or ("SYSTEM",)), self.now, 0.5)
        outcome = decide(self.flows, before, command, context)
        if isinstance(outcome, Decided):
            self.history += recorded(outcome.events, len(self.history), command, context)
            self.orders = outcome.orders
        return outcome

    def must(self, command: Command, by: str = "engine", *actors: Actor) -> list[str]:
        """The types of what was decided."""
        outcome = self.give(command, by, *actors)
        assert isinstance(outcome, Decided), outcome
        return [event.TYPE for event in outcome.events]

    def refused(self, command: Command, by: str = "engine", *actors: Actor) -> Rejected:
        outcome = self.give(command, by, *actors)
        assert isinstance(outcome, Rejected), outcome
        return outcome

    def quiet(self, command: Command, by: str = "engine", *actors: Actor) -> str:
        outcome = self.give(command, by, *actors)
        assert isinstance(outcome, Unchanged), outcome
        return outcome.reason

    # -- short words

    def act(self, action: str = "NEXT", by: str = "u-1", **more: Any) -> list[str]:
        return self.must(Advance(instance_id=ID, action=action, **more), by, "USER")

    def succeed(self, step: int, attempt: int = 1, outcome: str | None = None) -> list[str]:
        return self.must(success(step, attempt, outcome))

    def fail(self, step: int, attempt: int = 1, **more: Any) -> list[str]:
        return self.must(failure(step, attempt, **more))

    def later(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    def fire(self, timer: str, entry: int | None = None) -> list[str]:
        return self.must(fired(timer, self.instance.entry if entry is None else entry))

    def decide(self, decision: Any, task: int = 1, **more: Any) -> list[str]:
        return self.must(decision_of(decision, task, **more), "r-1", "REVIEWER")

    def cancel(self, by: str = "u-1") -> list[str]:
        return self.must(CancelInstance(instance_id=ID, reason="no longer wanted"), by, "USER")


def success(step: int, attempt: int = 1, outcome: str | None = None) -> StepSucceeded:
    return StepSucceeded(instance_id=ID, step=str(step), attempt=attempt, effect_id="e", outcome=outcome)


def failure(step: int, attempt: int = 1, code: str = "refused", **more: Any) -> StepFailed:
    return StepFailed(instance_id=ID, step=str(step), attempt=attempt, effect_id="e", code=code, **more)


def fired(timer: str, entry: int) -> TimerFired:
    return TimerFired(instance_id=ID, timer=timer, state_entry=entry)


def decision_of(decision: Any, task: int, **more: Any) -> ReviewDecided:
    return ReviewDecided(instance_id=ID, work_item_id="w", decision=decision, decided_by="r-1", task=task, **more)


def flow(*transitions: dict[str, Any], states: dict[str, dict[str, Any]] | None = None, **more: Any) -> FlowDefinition:
    """A definition from transitions; states that are only named are plain, DONE and NO are ends."""
    said = states or {}
    names = list(dict.fromkeys(name for move in transitions for name in (move["from"], move["to"])))
    listed = [{"name": name, **said.get(name, {})} for name in (*names, *(n for n in said if n not in names))]
    ends = {"DONE": "completed", "NO": "rejected"}
    for state in listed:
        if state["name"] in ends:
            state["end"] = ends[state["name"]]
    for name, end in ends.items():
        if name not in {state["name"] for state in listed}:
            listed.append({"name": name, "end": end})
    initial = transitions[0]["from"]
    return FlowDefinition.model_validate(
        {"flow": "small", "version": 1, "initial": initial, "states": listed, "transitions": transitions, **more}
    )


def move(source: str, target: str, *, by: str = "USER", action: str = "NEXT", **more: Any) -> dict[str, Any]:
    return {"from": source, "to": target, "action": action, "actors": [by], **more}
