"""The tables that follow from the mappings: one for each concrete class, its child tables, and `case_work` for all.

A class's own table has the rows of exactly that class, also where others extend it. `case_work` has one row for each case of
every class. What cannot become a table is a diagnostic and is left out, so a caller builds only from a graph without errors.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from domain.cases.conversions import ColumnType, TypeRefused
from domain.cases.mapping.model import Code, Diagnostic, Graph, ResolvedClass, ResolvedColumn, Severity
from domain.cases.mapping.names import fold, snake_case, table_problem
from domain.cases.mapping.reading import Reading, reading_of
from domain.cases.mapping.resolve import resolve
from domain.cases.mapping.specs import TABLE_PREFIX, WORK_TABLE, ChildSpec, ColumnSpec, Feed, Feeds, TableSpec
from domain.cases.mapping.widening import DEFAULT_TYPE, widest
from domain.cases.paths import PathRefused

__all__ = ["TABLE_PREFIX", "WORK_TABLE", "ChildSpec", "ColumnSpec", "Feed", "Feeds", "TableSpec", "resolve_all", "table_specs"]

MAX_COLUMNS = 500
_STRONGER = ("none", "mask", "hash", "encrypt")
_SHOWN_SOURCES = 5


@dataclass(slots=True)
class _Taken:
    """Which table belongs to whom, and what was found on the way."""

    owners: dict[str, str] = field(default_factory=lambda: {WORK_TABLE: "all classes"})
    problems: list[Diagnostic] = field(default_factory=list)

    def take(self, table: str, definition_name: str, location: str, advice: str) -> bool:
        """Whether the name is good and free; if so it is the class's from here on."""
        problem = table_problem(table)
        if not problem and table in self.owners:
            problem = f"is the table of {self.owners[table]} already"
        if problem:
            self.say("error", "table-name", definition_name, None, f"the table {table} {problem}: {advice}", location)
        else:
            self.owners[table] = definition_name
        return not problem

    def say(self, severity: Severity, code: Code, class_name: str, column: str | None, message: str, location: str) -> None:
        self.problems.append(Diagnostic(severity, code, class_name, column, message, location))


def resolve_all(graph: Graph) -> tuple[dict[str, ResolvedClass], list[Diagnostic]]:
    """Every class resolved; ancestors come first, so a finding that subclasses repeat is told of the class that has it."""
    results = [resolve(graph, name) for name in sorted(graph)]
    results.sort(key=lambda result: len(result[0].ancestry))
    told = {
        (problem.code, problem.column, problem.message): problem
        for _, found in reversed(results)
        for problem in reversed(found)
    }
    return {resolved.class_name: resolved for resolved, _ in results}, list(told.values())[::-1]


def table_specs(graph: Graph, *, max_columns: int = MAX_COLUMNS) -> tuple[list[TableSpec], list[Diagnostic]]:
    """Every table of the graph, by class name, `case_work` last; and what is wrong with classes and tables."""
    resolved, problems = resolve_all(graph)
    specs, refused = specs_of(graph, resolved, max_columns=max_columns)
    return specs, problems + refused


def specs_of(
    graph: Graph, resolved: Mapping[str, ResolvedClass], *, max_columns: int = MAX_COLUMNS
) -> tuple[list[TableSpec], list[Diagnostic]]:
    """The same from classes that are resolved already."""
    taken = _Taken()
    concrete = [resolved[name] for name in sorted(graph) if graph[name].concrete]
    specs = [spec for found in concrete if (spec := _class_table(taken, graph, found)) is not None]
    specs.append(_work_table(taken, graph, concrete))
    for spec in specs:
        _count(taken, spec, max_columns)
    return specs, taken.problems


def _class_table(taken: _Taken, graph: Graph, found: ResolvedClass) -> TableSpec | None:
    definition = graph[found.class_name]
    suffix = fold(definition.table or snake_case(definition.class_name)).removeprefix(TABLE_PREFIX)
    name, location = f"{TABLE_PREFIX}{suffix}", definition.source.source_location
    if not taken.take(name, found.class_name, location, "say another `table`"):
        return None
    columns, children = _split(column for column in found.columns if column.entry.indexed)
    specs = [_child(taken, found.class_name, name, prefix, rows) for prefix, rows in children.items()]
    return TableSpec(
        name, *_columns_and_feeds(found.class_name, columns), children=tuple(spec for spec in specs if spec is not None)
    )


def _split(columns: Iterable[ResolvedColumn]) -> tuple[list[ResolvedColumn], dict[str, list[ResolvedColumn]]]:
    """Columns of the table itself, and of each list."""
    own: list[ResolvedColumn] = []
    children: dict[str, list[ResolvedColumn]] = {}
    for column in columns:
        if (reading := _reading(column)) is None:
            continue
        if reading.child_prefix is None:
            own.append(column)
        else:
            children.setdefault(reading.child_prefix, []).append(column)
    return own, children


def _reading(column: ResolvedColumn) -> Reading | None:
    """None of a path or a type that `lint` refuses."""
    try:
        ColumnType.parse(column.entry.type or DEFAULT_TYPE)
        return reading_of(column.entry.json_path or "")
    except (PathRefused, TypeRefused):
        return None


def _child(taken: _Taken, class_name: str, table: str, prefix: str, columns: Sequence[ResolvedColumn]) -> ChildSpec | None:
    named = {column.entry.child_table: column for column in reversed(columns) if column.entry.child_table}
    location = columns[0].provenance.source_location
    if len(named) > 1:
        message = f"the list {prefix} has the child tables {', '.join(sorted(map(str, named)))}: one list is one table"
        taken.say("error", "child-table", class_name, columns[0].name, message, location)
    suffix = next(iter(named), None) or reading_of(columns[0].entry.json_path or "").list_name
    name = f"{table}_{fold(suffix or 'items')}"
    if not taken.take(name, class_name, location, "say another `childTable`"):
        return None
    return ChildSpec(name, prefix, *_columns_and_feeds(class_name, columns))


def _columns_and_feeds(class_name: str, columns: Iterable[ResolvedColumn]) -> tuple[tuple[ColumnSpec, ...], Feeds]:
    kept = list(columns)
    specs = tuple(
        ColumnSpec(column.name, _sql(column), column.entry.sensitivity, f"{column.entry.json_path} by {column.provenance}")
        for column in kept
    )
    return specs, {class_name: tuple(_feed(column) for column in kept)}


def _feed(column: ResolvedColumn) -> Feed:
    entry = column.entry
    return Feed(
        column.name, entry.json_path or "", entry.on_missing, entry.on_null, entry.on_error, entry.default, column.provenance
    )


def _sql(column: ResolvedColumn) -> str:
    return ColumnType.parse(column.entry.type or DEFAULT_TYPE).sql


def _work_table(taken: _Taken, graph: Graph, concrete: Sequence[ResolvedClass]) -> TableSpec:
    """The exposed columns of all classes. A column whose types do not fit together is left out."""
    sources: dict[str, list[tuple[str, ResolvedColumn]]] = {}
    for found in concrete:
        for column in found.columns:
            reading = _reading(column) if column.entry.exposed else None
            if reading is not None and reading.child_prefix is None:
                sources.setdefault(column.name, []).append((found.class_name, column))
    columns = tuple(spec for name, fed in sources.items() if (spec := _work_column(taken, name, fed)) is not None)
    kept = {column.name for column in columns}
    feeds: dict[str, tuple[Feed, ...]] = {found.class_name: () for found in concrete}
    for name, fed in sources.items():
        for class_name, column in fed if name in kept else ():
            feeds[class_name] += (_feed(column),)
    return TableSpec(WORK_TABLE, columns, feeds)


def _work_column(taken: _Taken, name: str, fed: Sequence[tuple[str, ResolvedColumn]]) -> ColumnSpec | None:
    types = {_sql(column): column for _, column in reversed(fed)}
    wide = widest(types)
    first = fed[0][1]
    if wide is None:
        said = "; ".join(f"{sql} in {types[sql].provenance}" for sql in sorted(types))
        message = f"the exposed column {name} of {WORK_TABLE} has several types: {said}. Say one, or rename one"
        taken.say("error", "type-conflict", fed[0][0], name, message, first.provenance.source_location)
        return None
    levels = {column.entry.sensitivity: column for _, column in reversed(fed)}
    strongest = max(levels, key=_STRONGER.index)
    if len(levels) > 1:
        said = "; ".join(f"{level} in {levels[level].provenance}" for level in sorted(levels, key=_STRONGER.index))
        message = f"the exposed column {name} of {WORK_TABLE} is {strongest} for all classes: {said}"
        taken.say("warning", "sensitivity-differs", fed[0][0], name, message, first.provenance.source_location)
    return ColumnSpec(name, wide, strongest, _sources(fed))


def _sources(fed: Sequence[tuple[str, ResolvedColumn]]) -> str:
    """Each distinct path with who says it, a few of them: a comment is read by people."""
    said = list(dict.fromkeys(f"{column.entry.json_path} by {column.provenance}" for _, column in fed))
    more = f"; and {len(said) - _SHOWN_SOURCES} more" if len(said) > _SHOWN_SOURCES else ""
    return "; ".join(said[:_SHOWN_SOURCES]) + more


def _count(taken: _Taken, spec: TableSpec, limit: int) -> None:
    for name, columns in _tables(spec):
        if len(columns) > limit:
            owner = taken.owners[name]
            message = f"{name} would have {len(columns)} mapped columns, of which {limit} are allowed"
            taken.say("error", "too-many-columns", owner, None, message, _place(spec))


def _tables(spec: TableSpec) -> Iterator[tuple[str, tuple[ColumnSpec, ...]]]:
    yield spec.name, spec.columns
    for child in spec.children:
        yield child.name, child.columns


def _place(spec: TableSpec) -> str:
    return next((feed.provenance.source_location for feeds in spec.feeds.values() for feed in feeds), "")
