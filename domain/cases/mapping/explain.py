"""Why a column of a class is what it is: everything that is said about it, in the order of precedence."""

from dataclasses import dataclass
from typing import Literal

from domain.cases.mapping.cycles import cycles
from domain.cases.mapping.model import Graph, MappingEntry, Provenance
from domain.cases.mapping.names import fold
from domain.cases.mapping.resolve import before_remove, precedence, statements

Verdict = Literal["wins", "replaced", "removes", "removed"]


@dataclass(frozen=True, slots=True)
class Saying:
    """One class's word on the column, and what becomes of it."""

    verdict: Verdict
    entry: MappingEntry
    provenance: Provenance


def explain(graph: Graph, class_name: str, column: str) -> list[Saying]:
    """Most specific first; empty where nothing is said, where there is no such class, and behind a cycle."""
    if class_name not in graph or cycles(graph, [class_name]):
        return []
    sayings = statements(graph, precedence(graph, class_name)).get(fold(column), [])
    kept = len(before_remove(sayings))
    return [Saying(_verdict(at, kept), said.entry, said.provenance) for at, said in enumerate(sayings)]


def _verdict(at: int, kept: int) -> Verdict:
    if at < kept:
        return "replaced" if at else "wins"
    return "removes" if at == kept else "removed"
