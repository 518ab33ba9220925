"""A flow as a Mermaid state diagram, and the arrows that every drawing of it has."""

from collections.abc import Iterator
from dataclasses import dataclass

from domain.onboarding.flows.reaching import ways
from schemas.flows import FlowDefinition


@dataclass(frozen=True, slots=True)
class Arrow:
    """From a state to a state. `failing`: of an outcome, a failure or a decision other than success."""

    source: str
    target: str
    label: str
    failing: bool


def arrows(definition: FlowDefinition) -> Iterator[Arrow]:
    """Every way, with what takes it: the action, who, the handler and its compensation."""
    for way in ways(definition):
        move = definition.transitions[way.transition]
        if way.why:
            yield Arrow(way.source, way.target, f"{move.handler}: {way.why}", failing=True)
            continue
        label = f"{move.action} ({', '.join(move.actors)})"
        if move.handler is not None:
            label += f" / {move.handler}"
        if move.compensation is not None:
            label += f" ⟲ {move.compensation}"
        yield Arrow(way.source, way.target, label, failing=False)


def notes(definition: FlowDefinition) -> Iterator[tuple[str, str]]:
    """What is to be said of a state besides its name."""
    for state in definition.states:
        said = []
        if state.review is not None:
            said.append(f"review: {state.review.group}")
        if state.sla is not None:
            expires = state.sla.model_dump(mode="json")["expires_after"]
            said.append(f"{state.sla.on_expiry} after {expires}")
        if state.persist:
            said.append("persist point")
        if said:
            yield state.name, ", ".join(said)


def as_mermaid(definition: FlowDefinition) -> str:
    """For people and for pages that draw Mermaid."""
    lines = ["stateDiagram-v2", f"    [*] --> {definition.initial}"]
    lines += [f"    {arrow.source} --> {arrow.target}: {_quiet(arrow.label)}" for arrow in arrows(definition)]
    lines += [f"    {state.name} --> [*]" for state in definition.states if state.end is not None]
    for name, said in notes(definition):
        lines += [f"    note right of {name}: {_quiet(said)}"]
    return "\n".join(lines) + "\n"


def _quiet(text: str) -> str:
    """Without what would end a label; names hold neither, but group names may hold colons."""
    return text.replace(":", " -").replace(";", ",").replace("\n", " ")
