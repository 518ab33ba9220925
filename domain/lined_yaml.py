"""YAML as plain values with the line of each, for files that people write and that are told where they are wrong.

Reads everything that can be read; every fault has its line. Safe tags only: no file makes an object of Python's. Duplicate
keys, which YAML readers settle in silence, and aliases, whose content has no line of its own, are faults.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

MAX_CHARACTERS = 4_000_000
_MAX_DEPTH = 12
# The C parser is a library of ours when it was built in; both compose the same nodes.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT = "tag:yaml.org,2002:str"

Place = tuple[str | int, ...]
FaultKind = Literal["too-long", "no-yaml", "forbidden-character", "too-deep", "alias", "duplicate-key", "unfit-scalar"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why something was not read. `params` are for the sentence that the reader of the file gets."""

    kind: FaultKind
    line: int
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class LinedYaml:
    """A file's content, None where nothing could be read, the lines of its places, and its faults."""

    content: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line_of(self, place: Place) -> int:
        """The line of a place, or of the nearest place around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read_lined(text: str) -> LinedYaml:
    """The text of one file with one document."""
    page = LinedYaml()
    if len(text) > MAX_CHARACTERS:
        page.faults.append(Fault("too-long", 1, {"most": str(MAX_CHARACTERS)}))
        return page
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        page.faults.append(Fault("no-yaml", mark.line + 1 if mark else 1, {"reason": str(error.problem or error.context)}))
        return page
    except yaml.YAMLError as error:  # a character that YAML forbids has no mark
        page.faults.append(Fault("forbidden-character", text.count("\n", 0, getattr(error, "position", 0)) + 1))
        return page
    page.content = _Reader(page).plain(node, ()) if node is not None else None
    return page


class _Reader:
    """Nodes to plain values."""

    def __init__(self, page: LinedYaml) -> None:
        self._page = page
        self._scalars = yaml.constructor.SafeConstructor()
        self._seen: set[int] = set()

    def plain(self, node: yaml.Node, place: Place) -> Any:
        line = node.start_mark.line + 1
        self._page.lines.setdefault(place, line)
        if len(place) > _MAX_DEPTH:
            return self._refuse("too-deep", line)
        if id(node) in self._seen:
            return self._refuse("alias", line)
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item, (*place, position)) for position, item in enumerate(node.value)]
        return self._scalar(node, line)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            if key in content:
                self._refuse("duplicate-key", line, key=key, before=str(self._page.lines[(*place, key)]))
                continue
            self._page.lines[(*place, key)] = line
            content[key] = self.plain(value_node, (*place, key))
        return content

    def _scalar(self, node: yaml.Node, line: int) -> Any:
        if node.tag == _TEXT:
            return node.value
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError):
            return self._refuse("unfit-scalar", line, value=repr(node.value))

    def _refuse(self, kind: FaultKind, line: int, **params: str) -> None:
        self._page.faults.append(Fault(kind, line, params))
