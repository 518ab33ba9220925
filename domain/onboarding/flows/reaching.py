"""Which states lead where: what can be reached, from where an end can be, and circles that the engine would never leave."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from domain.lined_yaml import Place
from schemas.flows import FlowDefinition, Transition


@dataclass(frozen=True, slots=True)
class Way:
    """From a state to another one, and why. `place` is where the definition says so."""

    source: str
    target: str
    transition: int
    why: str
    place: Place


def ways(definition: FlowDefinition) -> Iterator[Way]:
    """Every way of every transition: success, named outcomes, failure, a review's decisions."""
    for number, move in enumerate(definition.transitions):
        at: Place = ("transitions", number)
        yield Way(move.from_state, move.to, number, "", (*at, "to"))
        for outcome, target in move.outcomes.items():
            yield Way(move.from_state, target, number, outcome, (*at, "outcomes", outcome))
        if move.on_failure is not None:
            yield from _of_failure(number, move, (*at, "onFailure"))


def reached(found: Iterable[Way], starts: Iterable[str]) -> set[str]:
    """The starts, and all that can be reached from them."""
    following: dict[str, list[str]] = {}
    for way in found:
        following.setdefault(way.source, []).append(way.target)
    return _closure(following, starts)


def leading_to(found: Iterable[Way], targets: Iterable[str]) -> set[str]:
    """The targets, and all from which one of them can be reached."""
    before: dict[str, list[str]] = {}
    for way in found:
        before.setdefault(way.target, []).append(way.source)
    return _closure(before, targets)


def endless(definition: FlowDefinition) -> Iterator[tuple[str, ...]]:
    """Each circle of automatic transitions without handlers, by its states."""
    onward: dict[str, str] = {}
    for move in definition.transitions:
        if "SYSTEM" in move.actors and move.handler is None:
            onward.setdefault(move.from_state, move.to)
    told: set[str] = set()
    for start in onward:
        path: list[str] = []
        state = start
        while state in onward and state not in path and state not in told:
            path.append(state)
            state = onward[state]
        if state in path:
            yield tuple(path[path.index(state) :])
        told |= set(path)


def _of_failure(number: int, move: Transition, at: Place) -> Iterator[Way]:
    policy = move.on_failure
    if policy is None:
        return
    if policy.to is not None:
        yield Way(move.from_state, policy.to, number, "failed", (*at, "to"))
    if policy.review is not None:
        yield Way(move.from_state, policy.review.reject, number, "rejected", (*at, "review", "reject"))
        back = policy.review.return_to or move.from_state
        yield Way(move.from_state, back, number, "returned", (*at, "review", "returnTo"))


def _closure(following: Mapping[str, Iterable[str]], starts: Iterable[str]) -> set[str]:
    pending = list(starts)
    found = set(pending)
    while pending:
        for target in following.get(pending.pop(), ()):
            if target not in found:
                found.add(target)
                pending.append(target)
    return found
