"""What is wrong with a mapping by itself, whatever it is mixed into: name, path, type, and words that contradict each other."""

from collections.abc import Iterator

from domain.cases.conversions import ColumnType, TypeRefused
from domain.cases.mapping.model import ClassDefinition, Code, Diagnostic, MappingEntry
from domain.cases.mapping.names import column_problem
from domain.cases.mapping.reading import reading_of
from domain.cases.paths import PathRefused

_LONGEST_SHOWN = 80


def problems_of_mappings(definition: ClassDefinition) -> Iterator[Diagnostic]:
    """Every error of the mappings of one class."""
    first: dict[str, MappingEntry] = {}
    for entry in definition.mappings:
        for code, message in _problems(entry):
            yield _about(definition, entry, code, f"{_shown(entry.plain_column)}: {message}")
        kept = first.setdefault(entry.column, entry)
        if kept is not entry:
            message = f"{_shown(entry.plain_column)} is mapped twice in {definition.class_name}; {kept.location} counts"
            yield _about(definition, entry, "column-twice", message)


def _problems(entry: MappingEntry) -> Iterator[tuple[Code, str]]:
    if problem := column_problem(entry.plain_column):
        yield "column-name", f"the name {problem}"
    if entry.type is not None:
        try:
            ColumnType.parse(entry.type)
        except TypeRefused as refused:
            yield "type", str(refused)
    if entry.remove:
        return
    if not (entry.indexed or entry.exposed):
        yield "goes-nowhere", "is neither indexed nor exposed, so no table gets it"
    yield from _path_problems(entry)


def _path_problems(entry: MappingEntry) -> Iterator[tuple[Code, str]]:
    try:
        reading = reading_of(entry.json_path or "")
    except PathRefused as refused:
        yield "path", f"{_shown(entry.json_path or '')}: {refused}"
        return
    if reading.wildcards > 1:
        yield "two-lists", f"{_shown(entry.json_path or '')} has {reading.wildcards} wildcards; a row is an element of one list"
    if reading.child_prefix is not None and entry.exposed:
        yield "exposed-list", f"has a row for each element of {reading.child_prefix}, and the work table has one row for a case"
    if reading.child_prefix is None and entry.child_table:
        yield "child-table", "names a child table, and its path has no `[*]`"


def _shown(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _about(definition: ClassDefinition, entry: MappingEntry, code: Code, message: str) -> Diagnostic:
    place = entry.location or definition.source.source_location
    return Diagnostic("error", code, definition.class_name, entry.column, message, place)
