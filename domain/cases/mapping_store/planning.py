"""Which tables a class fills, and what a column more would make of them. Pure."""

from dataclasses import dataclass, replace

from domain.cases.mapping.lint import lint
from domain.cases.mapping.model import Diagnostic, Graph, MappingEntry, ResolvedColumn
from domain.cases.mapping.resolve import precedence, resolve
from domain.cases.mapping.specs import TableSpec
from domain.cases.mapping.tables import MAX_COLUMNS, table_specs


@dataclass(frozen=True, slots=True)
class Preview:
    """The tables that a column would change, and the errors that forbid it."""

    specs: tuple[TableSpec, ...]
    errors: tuple[Diagnostic, ...]


def fed_tables(graph: Graph, class_name: str) -> list[TableSpec]:
    """The tables with rows of the class or of a class that inherits from it."""
    heirs = {name for name, found in graph.items() if found.concrete and class_name in precedence(graph, name)}
    return [spec for spec in table_specs(graph)[0] if heirs & spec.feeds.keys()]


def columns_of_path(graph: Graph, class_name: str, path: str) -> list[ResolvedColumn]:
    """The class's columns that are filled by exactly this path."""
    return [column for column in resolve(graph, class_name)[0].columns if column.entry.json_path == path]


def sensitive_paths(class_name: str, *graphs: Graph) -> list[str]:
    """The paths whose values nobody sees who looks at a record of the class: of its own, and of its heirs' and ancestors'
    columns, since one document may be looked at under any of their names. What one of the graphs hides is hidden: a draft
    may hide more than what is published, never less."""
    return list(dict.fromkeys(path for graph in graphs for path in _sensitive_paths(graph, class_name)))


def _sensitive_paths(graph: Graph, class_name: str) -> list[str]:
    names = {class_name, *precedence(graph, class_name)} & graph.keys()
    names |= {name for name in graph if class_name in precedence(graph, name)}
    paths = (
        column.entry.json_path
        for name in sorted(names)
        for column in resolve(graph, name)[0].columns
        if column.entry.sensitivity != "none"
    )
    return [path for path in paths if path]


def preview(graph: Graph, class_name: str, entry: MappingEntry, max_columns: int = MAX_COLUMNS) -> Preview:
    """What the mapping would change: tables whose rows follow from something else, and new errors."""
    definition = graph[class_name]
    kept = tuple(found for found in definition.mappings if found.column != entry.column)
    after = {**graph, class_name: replace(definition, mappings=(*kept, entry))}
    known = {_told(problem) for problem in lint(graph, max_columns=max_columns)}
    found = lint(after, max_columns=max_columns)
    errors = [problem for problem in found if problem.severity == "error" and _told(problem) not in known]
    before = {spec.name: spec.fingerprint() for spec in table_specs(graph)[0]}
    changed = [spec for spec in table_specs(after)[0] if before.get(spec.name) != spec.fingerprint()]
    return Preview(tuple(changed), tuple(errors))


def _told(problem: Diagnostic) -> tuple[str, str, str]:
    return problem.code, problem.class_name, problem.message
