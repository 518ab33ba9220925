"""What a change of mappings would do: the whole graph is judged, and the tables before and after are compared. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from domain.cases.mapping.lint import lint
from domain.cases.mapping.model import ClassDefinition, Graph
from domain.cases.mapping.tables import table_specs
from domain.cases.mapping_store.reading import Problem, located


@dataclass(frozen=True, slots=True)
class TableChange:
    """A table whose rows follow from other mappings now: it needs a new version, or is no longer filled."""

    name: str
    change: Literal["added", "changed", "removed"]


def judge(graph: Graph, judged: Mapping[str, ClassDefinition], max_columns: int) -> tuple[list[Problem], list[Problem]]:
    """Errors and warnings of the graph; those that a judged definition takes part in point into its body."""
    found = located(lint(graph, max_columns=max_columns), judged)
    errors = [problem for problem in found if problem.severity == "error"]
    return errors, [problem for problem in found if problem.severity != "error"]


def changed_tables(before: Graph, after: Graph) -> list[TableChange]:
    """By name. A table with the same fingerprint has the same rows."""
    old, new = _fingerprints(before), _fingerprints(after)
    changes: dict[str, Literal["added", "changed", "removed"]] = {}
    for name in old.keys() | new.keys():
        if name not in old:
            changes[name] = "added"
        elif name not in new:
            changes[name] = "removed"
        elif old[name] != new[name]:
            changes[name] = "changed"
    return [TableChange(name, changes[name]) for name in sorted(changes)]


def _fingerprints(graph: Graph) -> dict[str, str]:
    return {spec.name: spec.fingerprint() for spec in table_specs(graph)[0]}
