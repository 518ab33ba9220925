"""Which classes may have cases, as the mapping graph says (CD-1): their kind, and what readers must not see of them. Pure."""

from collections.abc import Mapping
from typing import get_args

from domain.cases.case import CaseClass, Kind
from domain.cases.mapping.model import ClassDefinition, Graph
from domain.cases.mapping.resolve import precedence

KnownClasses = Mapping[str, CaseClass]


def known_classes(graph: Graph) -> dict[str, CaseClass]:
    """Every concrete class that descends from the tree's root. A class behind a cycle or an unknown parent is none."""
    said = {name: _said_sensitive(definition) for name, definition in graph.items()}
    found = {}
    for name, definition in graph.items():
        kind = _kind(graph, name) if definition.concrete else None
        if kind is not None:
            # Of its ancestors too, even where the class has no such column or fills it otherwise: a child's document may have
            # what they call sensitive, and a table's column says nothing of who may read that.
            paths = [path for one in reversed(precedence(graph, name)) for path in said[one]]
            found[name] = CaseClass(kind, tuple(dict.fromkeys(paths)))
    return found


def _kind(graph: Graph, name: str) -> Kind | None:
    met: set[str] = set()
    current: str | None = name
    while current is not None and current in graph and current not in met:
        if current in get_args(Kind):
            return current  # type: ignore[return-value]  # just compared with the literal's values
        met.add(current)
        current = graph[current].parent
    return None


def _said_sensitive(definition: ClassDefinition) -> list[str]:
    return [entry.json_path for entry in definition.mappings if entry.json_path and entry.sensitivity != "none"]
