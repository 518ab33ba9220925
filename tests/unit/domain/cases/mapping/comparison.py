"""The resolver against the reference, class by class of random graphs: what they disagree on, and what the graphs held."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from domain.cases.mapping.model import ClassDefinition
from domain.cases.mapping.resolve import resolve
from tests.unit.domain.cases.mapping.random_graphs import random_graph
from tests.unit.domain.cases.mapping.reference_resolver import Answer, Rules, answer


@dataclass
class Verdict:
    """Seeds of graphs with a difference, and how often each situation came up: a zero there would mean nothing was tried."""

    differing: list[int] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)


def compare(seeds: Iterable[int], rules: Rules | None = None) -> Verdict:
    """`rules` breaks one of the reference's rules, for a negative control."""
    verdict = Verdict()
    for seed in seeds:
        graph = random_graph(seed)
        expected = {name: answer(graph, name, rules) for name in graph}
        _count(verdict.seen, graph, expected)
        if any(ours(graph, name) != expected[name] for name in graph):
            verdict.differing.append(seed)
    return verdict


def ours(graph: dict[str, ClassDefinition], name: str) -> Answer:
    """The resolver's result in the reference's form. A circle that is told twice is no result at all."""
    resolved, problems = resolve(graph, name)
    circles = [problem.message for problem in problems if problem.code == "cycle"]
    assert len(circles) == len(set(circles))
    assert all(problem.location for problem in problems)
    columns = {
        column.name: (column.provenance.source_class, column.entry.json_path, column.entry.type or "")
        for column in resolved.columns
    }
    conflicts = frozenset(problem.column or "" for problem in problems if problem.code == "type-conflict")
    return Answer(bool(circles), columns, conflicts)


def _count(seen: Counter[str], graph: dict[str, ClassDefinition], expected: dict[str, Answer]) -> None:
    seen["graphs"] += 1
    seen["classes"] += len(graph)
    seen["circular"] += sum(found.circular for found in expected.values())
    seen["columns"] += sum(len(found.columns) for found in expected.values())
    seen["conflicts"] += sum(len(found.conflicts) for found in expected.values())
    seen["removes"] += sum(entry.remove for definition in graph.values() for entry in definition.mappings)
