"""Which classes may have cases, as the mapping graph says (CD-1): their kind, and what readers must not see of them. Pure."""

from collections.abc import Mapping
from typing import get_args

from domain.cases.case import CaseClass, Kind
from domain.cases.mapping.model import Graph
from domain.cases.mapping.resolve import resolve

KnownClasses = Mapping[str, CaseClass]


def known_classes(graph: Graph) -> dict[str, CaseClass]:
    """Every concrete class that descends from the tree's root. A class behind a cycle or an unknown parent is none."""
    found = {}
    for name, definition in graph.items():
        kind = _kind(graph, name) if definition.concrete else None
        if kind is not None:
            found[name] = CaseClass(kind, _sensitive_paths(graph, name))
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


def _sensitive_paths(graph: Graph, name: str) -> tuple[str, ...]:
    columns = resolve(graph, name)[0].columns
    paths = (column.entry.json_path for column in columns if column.entry.sensitivity != "none")
    return tuple(dict.fromkeys(path for path in paths if path))
