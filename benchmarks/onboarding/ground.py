"""What is folded and decided: a ten-step flow, and a loop of two states that a long history goes round in."""

from datetime import UTC, datetime
from typing import Any

from domain.onboarding.decisions import decide
from domain.onboarding.evolving import fold
from domain.onboarding.flow import flows_of
from domain.onboarding.history import Recorded, recorded
from domain.onboarding.instance import Instance
from domain.onboarding.turn import Context, Decided
from schemas.flows import FlowDefinition
from schemas.onboarding import Command, StartInstance, StepSucceeded
from schemas.workflow_events import WorkflowEvent

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
ENGINE = Context("acme", "engine", frozenset({"SYSTEM"}), NOW)
STEPS = 10


def _flow(name: str, transitions: list[dict[str, Any]], states: list[dict[str, Any]]) -> FlowDefinition:
    return FlowDefinition.model_validate(
        {"flow": name, "version": 1, "initial": "S0", "states": states, "transitions": transitions}
    )


TEN = _flow(
    "ten-steps",
    [{"from": f"S{n}", "action": "NEXT", "to": f"S{n + 1}", "actors": ["SYSTEM"], "handler": "work"} for n in range(STEPS)],
    [*({"name": f"S{n}"} for n in range(STEPS)), {"name": f"S{STEPS}", "end": "completed"}],
)
LOOP = _flow(
    "loop",
    [
        {"from": "S0", "action": "NEXT", "to": "S1", "actors": ["SYSTEM"], "handler": "work", "attemptTimeout": "10s"},
        {"from": "S1", "action": "NEXT", "to": "S0", "actors": ["SYSTEM"], "handler": "work", "outcomes": {"END": "S2"}},
    ],
    [{"name": "S0"}, {"name": "S1"}, {"name": "S2", "end": "completed"}],
)
FLOWS = flows_of(TEN, LOOP)


def lived(instance_id: str) -> list[Recorded]:
    """The history of a ten-step instance, decided anew."""
    history: list[Recorded] = []
    start = StartInstance(instance_id=instance_id, flow="ten-steps", flow_version=1, user_id="u-1")
    instance = _given(None, start, history)
    for step in range(1, STEPS + 1):
        command = StepSucceeded(instance_id=instance_id, step=str(step), attempt=1, effect_id="e")
        instance = _given(instance, command, history)
    assert instance.status == "COMPLETED"
    return history


def looped(events: int) -> list[WorkflowEvent]:
    """At least so many events of one instance."""
    history: list[Recorded] = []
    start = StartInstance(instance_id="i", flow="loop", flow_version=1, user_id="u-1")
    instance = _given(None, start, history)
    while len(history) < events:
        command = StepSucceeded(instance_id="i", step=str(instance.step_count), attempt=1, effect_id="e")
        instance = _given(instance, command, history)
    return [row.event for row in history]


def _given(instance: Instance | None, command: Command, history: list[Recorded]) -> Instance:
    outcome = decide(FLOWS, instance, command, ENGINE)
    assert isinstance(outcome, Decided)
    history += recorded(outcome.events, len(history), command, ENGINE)
    return outcome.instance


def fold_of(history: list[Recorded]) -> Instance:
    """The instance behind a history."""
    instance = fold(row.event for row in history)
    assert instance is not None
    return instance
