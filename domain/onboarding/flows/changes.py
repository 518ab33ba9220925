"""What differs between two versions of a flow: states, transitions and handlers that came, went or changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from schemas.flows import FlowDefinition

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One part. `before` and `after` hold the words that differ."""

    kind: Kind
    part: str
    name: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def changes(old: FlowDefinition, new: FlowDefinition) -> list[Change]:
    """Every difference but the version and the order in which things are written."""
    return [change for part in ("flow", "state", "transition", "handler") for change in _of(part, old, new)]


def _of(part: str, old: FlowDefinition, new: FlowDefinition) -> Iterator[Change]:
    was, now = _parts(part, old), _parts(part, new)
    for name in [*now, *(name for name in was if name not in now)]:
        before, after = was.get(name), now.get(name)
        if before is None or after is None:
            yield Change("removed" if after is None else "added", part, name, before or {}, after or {})
            continue
        words = sorted(word for word in before.keys() | after.keys() if before.get(word) != after.get(word))
        if words:
            yield Change("changed", part, name, _only(before, words), _only(after, words))


def _parts(part: str, definition: FlowDefinition) -> dict[str, dict[str, Any]]:
    document = definition.as_document()
    if part == "flow":
        head = {word: value for word, value in document.items() if word not in _NOT_HEAD}
        return {definition.flow: head}
    if part == "transition":
        return {f"{move['from']} {move['action']}": move for move in document.get("transitions", ())}
    return {item["name"]: item for item in document.get(f"{part}s", ())}


def _only(said: Mapping[str, Any], words: list[str]) -> dict[str, Any]:
    return {word: said[word] for word in words if word in said}


_NOT_HEAD = frozenset({"version", "states", "transitions", "handlers"})
