"""One class with all that it inherits: which mapping of which class fills each column (CD-6, CD-7, traps 81 to 83).

The order of precedence, most specific first:

1. The chain is the class, its parent, the parent's parent and so on. Each class of the chain opens a level.
2. A level is that class itself, then its mixins from the last to the first.
3. Each mixin stands before its own mixins, again from the last to the first, and these before the mixin's parent; so on down.
4. A class that is met twice counts where it was met first. A class of the chain counts at its own level only: a mixin that
   extends an ancestor must not lift the ancestor above what lies between.

Then, for each column:

5. The first class in this order that says anything about the column decides. Says it `remove`, there is no such column.
6. The type, where that mapping names none, is that of the next mapping in the order that names one, or text. A `remove`
   ends the search: what lies behind it is gone, so a column may come back with another type.
7. Every mapping before such a `remove` must be of the type of the next one or of a wider one; else it is a type conflict.

Which definition of a class counts at all, the database's or the file's, is settled before (`graph.overlay`).
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from domain.cases.conversions import TypeRefused
from domain.cases.mapping.cycles import cycles
from domain.cases.mapping.model import (
    ClassDefinition,
    Code,
    Diagnostic,
    Graph,
    MappingEntry,
    Provenance,
    ResolvedClass,
    ResolvedColumn,
    Severity,
)
from domain.cases.mapping.widening import DEFAULT_TYPE, widens


class Said(NamedTuple):
    """What one class says about one column."""

    definition: ClassDefinition
    entry: MappingEntry

    @property
    def provenance(self) -> Provenance:
        return self.definition.provenance(self.entry)


def resolve(graph: Graph, class_name: str) -> tuple[ResolvedClass, list[Diagnostic]]:
    """The class's columns, those of the furthest ancestor first. Behind a cycle nothing can be trusted: no columns."""
    if class_name not in graph:
        message = f"there is no class {class_name}"
        return ResolvedClass(class_name, (), ()), [Diagnostic("error", "unknown-class", class_name, None, message, "")]
    if problems := cycles(graph, [class_name]):
        return ResolvedClass(class_name, (class_name,), ()), problems
    order = precedence(graph, class_name)
    problems = list(_unknown_names(graph, order))
    columns: list[ResolvedColumn] = []
    for sayings in statements(graph, order).values():
        kept = before_remove(sayings)
        if kept:
            types = effective_types(kept)
            columns.append(ResolvedColumn(kept[0].entry.typed(types[0]), kept[0].provenance))
            problems += _conflicts(class_name, kept, types) if len(kept) > 1 else ()
        if len(kept) < len(sayings):
            problems += _removes_nothing(class_name, sayings)
    return ResolvedClass(class_name, order, tuple(columns)), problems


def precedence(graph: Graph, class_name: str) -> tuple[str, ...]:
    """Steps 1 to 4, without recursion. Names that the graph does not hold are left out."""
    chain: dict[str, None] = {}
    name: str | None = class_name
    while name and name in graph and name not in chain:
        chain[name] = None
        name = graph[name].parent
    order: dict[str, None] = {}
    for level in chain:
        order[level] = None
        ahead = list(graph[level].mixins)
        while ahead:
            mixin = ahead.pop()
            if mixin in chain or mixin in order or mixin not in graph:
                continue
            order[mixin] = None
            parent = graph[mixin].parent
            ahead += [parent] if parent else []
            ahead += graph[mixin].mixins
    return tuple(order)


def statements(graph: Graph, order: Iterable[str]) -> dict[str, list[Said]]:
    """Column -> what is said about it, most specific first; the columns of the furthest ancestor come first."""
    found: dict[str, list[Said]] = {}
    for name in reversed(tuple(order)):
        definition = graph[name]
        said_here: set[str] = set()
        for entry in definition.mappings:
            if entry.column not in said_here:  # a second one in the same class is an error of `lint`
                said_here.add(entry.column)
                found.setdefault(entry.column, []).append(Said(definition, entry))
    for sayings in found.values():
        sayings.reverse()
    return found


def before_remove(sayings: list[Said]) -> list[Said]:
    """What stands before the first `remove`: the mapping that counts and those that it replaces."""
    for position, said in enumerate(sayings):
        if said.entry.remove:
            return sayings[:position]
    return sayings


def effective_types(kept: list[Said]) -> list[str]:
    """Step 6 for each of them."""
    types, behind = [], DEFAULT_TYPE
    for said in reversed(kept):
        behind = said.entry.type or behind
        types.append(behind)
    return types[::-1]


def _conflicts(class_name: str, kept: list[Said], types: list[str]) -> Iterator[Diagnostic]:
    for (above, wide), (below, narrow) in pairwise(zip(kept, types, strict=True)):
        name = above.entry.plain_column
        if wide != narrow and not _fits(wide, narrow):
            both = f"{name} is {wide} in {above.provenance} and {narrow} in {below.provenance}"
            yield _finding("error", "type-conflict", class_name, above, f"{both}: only a wider number may replace a type")
        if above.entry.sensitivity == "none" != below.entry.sensitivity:
            lost = f"{name} is {below.entry.sensitivity} in {below.provenance} and open in {above.provenance}"
            yield _finding("warning", "sensitivity-lost", class_name, above, f"{lost}: a mapping is replaced whole, repeat it")
        if above.definition.module != below.definition.module:
            twice = f"{name} is mapped in {above.provenance}, which wins, and in {below.provenance}"
            yield _finding("warning", "column-of-two-modules", class_name, above, twice)


def _fits(wide: str, narrow: str) -> bool:
    try:
        return widens(wide, narrow)
    except TypeRefused:
        return True  # one of them is no type at all, and that is what `lint` says


def _finding(severity: Severity, code: Code, class_name: str, said: Said, message: str) -> Diagnostic:
    return Diagnostic(severity, code, class_name, said.entry.column, message, said.provenance.source_location)


def _removes_nothing(class_name: str, sayings: list[Said]) -> Iterator[Diagnostic]:
    last = sayings[-1]
    # A mixin is written for classes that it does not know.
    if last.entry.remove and last.definition.class_name == class_name and not last.definition.is_mixin:
        message = f"removes {last.entry.plain_column}, which nothing that {class_name} inherits from maps"
        yield _finding("warning", "removes-nothing", class_name, last, message)


def _unknown_names(graph: Graph, order: Iterable[str]) -> Iterator[Diagnostic]:
    for name in order:
        definition = graph[name]
        named: list[tuple[Code, str]] = [("unknown-parent", definition.parent)] if definition.parent else []
        named += [("unknown-mixin", mixin) for mixin in definition.mixins]
        for code, missing in named:
            if missing not in graph:
                message = f"{name} names {missing}, which no file and no row defines"
                yield Diagnostic("error", code, name, None, message, definition.source.source_location)
