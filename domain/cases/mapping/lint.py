"""Everything that is wrong with a graph of classes, all at once, each finding with file and line (CD-8, CD-9, CD-11).

What is wrong with one mapping alone is in `entries`; what only shows when classes come together is found by `resolve` and
`tables`. An error means: build nothing from this graph. A warning is for a person to look at.
"""

from collections.abc import Iterable, Iterator

from domain.cases.conversions import ColumnType, TypeRefused, Unfit, converter
from domain.cases.mapping.entries import problems_of_mappings
from domain.cases.mapping.model import (
    CORE_MODULE,
    ROOT_CLASS,
    ClassDefinition,
    Code,
    Diagnostic,
    Graph,
    ResolvedClass,
    ResolvedColumn,
    Severity,
)
from domain.cases.mapping.reading import reading_of
from domain.cases.mapping.tables import MAX_COLUMNS, resolve_all, specs_of
from domain.cases.mapping.widening import DEFAULT_TYPE
from domain.cases.paths import PathRefused


def lint(graph: Graph, *, max_columns: int = MAX_COLUMNS) -> list[Diagnostic]:
    """Every finding of a graph, by place."""
    resolved, problems = resolve_all(graph)
    for name in sorted(graph):
        problems += problems_of_mappings(graph[name])
        problems += _problems_of_class(graph, graph[name])
    problems += _problems_of_types(resolved.values())
    problems += specs_of(graph, resolved, max_columns=max_columns)[1]
    return sorted(dict.fromkeys(problems), key=by_place)


def by_place(problem: Diagnostic) -> tuple[str, int, str, str]:
    """Files in order of their names, lines as numbers."""
    name, _, line = problem.location.rpartition(":")
    return (
        (name, int(line), problem.code, problem.message)
        if line.isdigit()
        else (problem.location, 0, problem.code, problem.message)
    )


def errors(problems: Iterable[Diagnostic]) -> list[Diagnostic]:
    """What forbids building anything."""
    return [problem for problem in problems if problem.severity == "error"]


def _problems_of_class(graph: Graph, definition: ClassDefinition) -> Iterator[Diagnostic]:
    name = definition.class_name
    if definition.parent is None and not definition.is_mixin and name != ROOT_CLASS:
        message = f"{name} extends nothing: every class extends WorkObject, ProcessObject, DataObject or a class that does"
        yield _about(definition, "error", "outside-the-tree", message)
    if definition.module == CORE_MODULE and "." in name:
        message = f"module core defines {name}: core has only the classes of the tree, a domain's classes are its own module's"
        yield _about(definition, "error", "core-exposes-domain-class", message)
    for role, other in _extends(graph, definition):
        if definition.module == CORE_MODULE != other.module:
            message = (
                f"{name} of module core has the {role} {other.class_name} of module {other.module}: core knows no other module"
            )
            yield _about(definition, "error", "core-exposes-domain-class", message)
        if role == "mixin" and not other.is_mixin:
            message = (
                f"{name} mixes in {other.class_name}, which is not marked isMixin and so is a class with a table of its own"
            )
            yield _about(definition, "warning", "mixin-not-marked", message)
        if role == "parent" and other.is_mixin and not definition.is_mixin:
            yield _about(definition, "warning", "parent-is-mixin", f"{name} extends the mixin {other.class_name}")
    for mixin in sorted({mixin for mixin in definition.mixins if definition.mixins.count(mixin) > 1}):
        yield _about(definition, "warning", "mixin-twice", f"{name} names the mixin {mixin} twice; the last place counts")


def _extends(graph: Graph, definition: ClassDefinition) -> Iterator[tuple[str, ClassDefinition]]:
    if definition.parent in graph and definition.parent is not None:
        yield "parent", graph[definition.parent]
    for mixin in dict.fromkeys(definition.mixins):
        if mixin in graph:
            yield "mixin", graph[mixin]


def _problems_of_types(resolved: Iterable[ResolvedClass]) -> Iterator[Diagnostic]:
    """What only the type tells that the column has in the end, be it said or inherited."""
    for found in resolved:
        for column in found.columns:
            name, said_by = column.entry.plain_column, column.provenance
            place = (said_by.source_class, column.name)
            if column.entry.default is not None and (reason := _unfit(column)):
                message = f"{name}: the default does not fit {column.entry.type}: {reason}"
                yield Diagnostic("error", "default-unfit", *place, message, said_by.source_location)
            if column.entry.type != "jsonb" and _gives_a_list(column):
                message = f"{name}: the path gives a list: make the column jsonb, or use one `[*]` for a row for each element"
                yield Diagnostic("error", "many-values", *place, message, said_by.source_location)


def _gives_a_list(column: ResolvedColumn) -> bool:
    try:
        reading = reading_of(column.entry.json_path or "")
    except PathRefused:
        return False
    return reading.many and reading.child_prefix is None and reading.wildcards < 2


def _unfit(column: ResolvedColumn) -> str | None:
    try:
        kind = ColumnType.parse(column.entry.type or DEFAULT_TYPE)
    except TypeRefused:
        return None
    converted = converter(kind)(column.entry.default)
    return converted.reason if isinstance(converted, Unfit) else None


def _about(definition: ClassDefinition, severity: Severity, code: Code, message: str) -> Diagnostic:
    return Diagnostic(severity, code, definition.class_name, None, message, definition.source.source_location)
