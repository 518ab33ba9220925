"""Whether instances of one version of a flow could go on by another one: a checked mapping of states.

An instance is moved while it waits in a state, between two steps (`MigrateInstance`). What it did before must still be undone:
a compensation that the new version does not declare could not run.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from schemas.flows import FlowDefinition

# fits: as it is; unfit: a mapping, or another definition, is needed; passed: nobody ever waits there.
Verdict = Literal["fits", "unfit", "passed"]
Reason = Literal["", "no-such-state", "is-an-end", "waits-for-others", "automatic", "end"]


@dataclass(frozen=True, slots=True)
class Fit:
    """One state of the old version."""

    state: str
    to: str
    verdict: Verdict
    reason: Reason = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole mapping. `unknown`: states that it names and the old version does not have; `undone_by`: lost compensations."""

    fits: tuple[Fit, ...]
    unknown: tuple[str, ...]
    undone_by: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether every instance that waits would fit."""
        return not (self.unknown or self.undone_by) and all(fit.verdict != "unfit" for fit in self.fits)


def plan(old: FlowDefinition, new: FlowDefinition, mapping: Mapping[str, str]) -> Plan:
    """Where instances of `old` would go on in `new`. `mapping`: old name to new name, where they differ."""
    names = {state.name for state in old.states}
    declared = {handler.name for handler in new.handlers}
    needed = {move.compensation for move in old.transitions if move.compensation is not None}
    return Plan(
        tuple(_fits(old, new, mapping)),
        tuple(sorted(mapping.keys() - names)),
        tuple(sorted(needed - declared)),
    )


def _fits(old: FlowDefinition, new: FlowDefinition, mapping: Mapping[str, str]) -> Iterator[Fit]:
    targets = {state.name: state for state in new.states}
    waits_old, waits_new = _who(old), _who(new)
    for state in old.states:
        to = mapping.get(state.name, state.name)
        target = targets.get(to)
        if state.end is not None:
            yield Fit(state.name, to, "passed", "end")
        elif "SYSTEM" in waits_old[state.name]:
            yield Fit(state.name, to, "passed", "automatic")
        elif target is None:
            yield Fit(state.name, to, "unfit", "no-such-state")
        elif target.end is not None:
            yield Fit(state.name, to, "unfit", "is-an-end")
        elif waits_old[state.name].isdisjoint(waits_new[to]):
            yield Fit(state.name, to, "unfit", "waits-for-others")
        else:
            yield Fit(state.name, to, "fits")


def _who(definition: FlowDefinition) -> dict[str, frozenset[str]]:
    """Whom each state waits for."""
    return {
        state.name: frozenset(
            actor for move in definition.transitions if move.from_state == state.name for actor in move.actors
        )
        for state in definition.states
    }
