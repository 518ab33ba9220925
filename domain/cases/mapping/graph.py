"""Which definition of each class counts, before any inheritance is looked at (trap 81).

Files first: a class that two modules define is taken from the first of them, `core` before all others, then by name. Then
the database: the newest enabled version replaces the whole class, never single mappings; with none enabled the file counts.
"""

from collections.abc import Iterable

from domain.cases.mapping.model import CORE_MODULE, ClassDefinition, Diagnostic, Graph, StoredDefinition


def graph_of(definitions: Iterable[ClassDefinition]) -> tuple[dict[str, ClassDefinition], list[Diagnostic]]:
    """Class name -> definition. Within a module a second definition is an error, in another module a warning."""
    graph: dict[str, ClassDefinition] = {}
    problems: list[Diagnostic] = []
    for definition in sorted(definitions, key=lambda found: (found.module != CORE_MODULE, found.module)):
        kept = graph.setdefault(definition.class_name, definition)
        if kept is not definition:
            problems.append(_twice(kept, definition))
    return graph, problems


def overlay(files: Graph, rows: Iterable[StoredDefinition]) -> dict[str, ClassDefinition]:
    """The files' classes with the newest enabled row of each class in place of the file's."""
    newest: dict[str, StoredDefinition] = {}
    for row in rows:
        name = row.definition.class_name
        if row.enabled and (name not in newest or row.version > newest[name].version):
            newest[name] = row
    return {**files, **{name: row.definition for name, row in newest.items()}}


def _twice(kept: ClassDefinition, other: ClassDefinition) -> Diagnostic:
    same = kept.module == other.module
    return Diagnostic(
        "error" if same else "warning",
        "class-twice" if same else "class-of-two-modules",
        other.class_name,
        None,
        f"{other.class_name} is defined by {kept.source}, which counts, and by {other.source}",
        other.source.source_location,
    )
