"""A flow as decisions look it up: states and transitions by name. Made once per version of a definition, and then kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from schemas.flows import Actor, FlowDefinition, Handler, State, Transition


class FlowKey(NamedTuple):
    """Which version of which flow an instance follows."""

    flow: str
    version: int


@dataclass(frozen=True, slots=True)
class Flow:
    """`moves`: by state and action. `automatic`: what the engine does as soon as a state is entered."""

    definition: FlowDefinition
    states: Mapping[str, State]
    moves: Mapping[tuple[str, str], Transition]
    automatic: Mapping[str, Transition]
    handlers: Mapping[str, Handler]
    # Whether what a person said is opened where his instance is moved: for a persist point, or a mail that reminds him.
    opens_cases: bool

    @property
    def key(self) -> FlowKey:
        return FlowKey(self.definition.flow, self.definition.version)

    def actors_at(self, state: str) -> frozenset[Actor]:
        """Whom a state waits for."""
        return frozenset(actor for (source, _), move in self.moves.items() if source == state for actor in move.actors)

    def actions(self, state: str, actors: frozenset[Actor] | None = None) -> tuple[str, ...]:
        """What can be done from a state, by anybody or by these."""
        return tuple(
            action
            for (source, action), move in self.moves.items()
            if source == state and (actors is None or not actors.isdisjoint(move.actors))
        )


Flows = Mapping[FlowKey, Flow]


def compile_flow(definition: FlowDefinition) -> Flow:
    """Of a definition without errors; of two transitions that say the same the first one counts."""
    moves: dict[tuple[str, str], Transition] = {}
    automatic: dict[str, Transition] = {}
    for transition in definition.transitions:
        moves.setdefault((transition.from_state, transition.action), transition)
        if "SYSTEM" in transition.actors:
            automatic.setdefault(transition.from_state, transition)
    states = {state.name: state for state in definition.states}
    mails = any(state.sla is not None and state.sla.reminder.template is not None for state in definition.states)
    return Flow(
        definition,
        states,
        moves,
        automatic,
        {handler.name: handler for handler in definition.handlers},
        opens_cases=mails or definition.case_class is not None,
    )


def flows_of(*definitions: FlowDefinition) -> dict[FlowKey, Flow]:
    """Several versions, by key."""
    return {flow.key: flow for flow in map(compile_flow, definitions)}
