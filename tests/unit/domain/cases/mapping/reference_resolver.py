"""A second resolver, written from the rules alone and for clarity only: dictionaries laid over each other, no order of classes.

It shares nothing with the resolver but the model's values. The `without_...` switches are deliberate mistakes, for negative
controls: a comparison that cannot tell them from the rules proves nothing.
"""

from dataclasses import dataclass

from domain.cases.mapping.model import ClassDefinition, MappingEntry

# wide: what it may replace. Every pair that is not listed is a conflict.
FITS = {
    "text": {"text"},
    "date": {"date"},
    "integer": {"integer"},
    "bigint": {"bigint", "integer"},
    "numeric(12,2)": {"numeric(12,2)", "integer"},
    "numeric(30,2)": {"numeric(30,2)", "numeric(12,2)", "bigint", "integer"},
}
TYPES = tuple(FITS)
Word = tuple[str, MappingEntry]  # who says it, and what
Layer = dict[str, list[Word]]  # column -> words, the strongest first


@dataclass(frozen=True)
class Answer:
    """What a class comes to."""

    circular: bool
    columns: dict[str, tuple[str, str | None, str]]  # column -> class, path, type
    conflicts: frozenset[str]


@dataclass(frozen=True)
class Rules:
    """The rules, each of which can be broken on purpose."""

    without_last_mixin_wins: bool = False
    without_remove: bool = False
    without_the_chain_s_levels: bool = False
    without_mixins_of_mixins: bool = False
    without_types_of_replaced_mappings: bool = False


def answer(graph: dict[str, ClassDefinition], name: str, rules: Rules | None = None) -> Answer:
    """The class by the rules of docs/reference/mapping.md."""
    if _circular(graph, name):
        return Answer(True, {}, frozenset())
    rules = rules or Rules()
    words = _class(graph, name, rules)
    columns, conflicts = {}, set()
    for column, said in words.items():
        kept: list[Word] = []
        for word in said:
            if word[1].remove and not rules.without_remove:
                break
            if not word[1].remove:
                kept.append(word)
        if kept:
            types = [_type([entry for _, entry in kept[at:]], rules) for at in range(len(kept))]
            columns[column] = (kept[0][0], kept[0][1].json_path, types[0])
            if any(narrow not in FITS[wide] for at, wide in enumerate(types) for narrow in types[at:]):
                conflicts.add(column)
    return Answer(False, columns, frozenset(conflicts))


def _circular(graph: dict[str, ClassDefinition], name: str) -> bool:
    """Whether any class above this one is above itself."""

    def above(start: str) -> set[str]:
        found: set[str] = set()
        ahead = [start]
        while ahead:
            definition = graph.get(ahead.pop())
            for other in [] if definition is None else [definition.parent, *definition.mixins]:
                if other is not None and other not in found:
                    found.add(other)
                    ahead.append(other)
        return found

    return any(other in above(other) for other in {name, *above(name)})


def _class(graph: dict[str, ClassDefinition], name: str, rules: Rules) -> Layer:
    """A class of the chain: its parent, over that its mixins, over that itself."""
    return _laid(graph, name, rules, frozenset() if rules.without_the_chain_s_levels else _chain(graph, name))


def _chain(graph: dict[str, ClassDefinition], name: str | None) -> frozenset[str]:
    return frozenset() if name not in graph else frozenset({name}) | _chain(graph, graph[name].parent)


def _laid(graph: dict[str, ClassDefinition], name: str, rules: Rules, chain: frozenset[str], mixed: bool = False) -> Layer:
    definition = graph[name]
    layer: Layer = {}
    parent = definition.parent
    if parent in graph and not (mixed and parent in chain):
        layer = _laid(graph, parent, rules, chain, mixed)
    mixins = definition.mixins if not (mixed and rules.without_mixins_of_mixins) else ()
    for mixin in reversed(mixins) if rules.without_last_mixin_wins else mixins:
        if mixin in graph and mixin not in chain:
            layer = _over(_laid(graph, mixin, rules, chain, mixed=True), layer)
    own: Layer = {entry.column: [(name, entry)] for entry in reversed(definition.mappings)}
    return _over(own, layer)


def _over(strong: Layer, weak: Layer) -> Layer:
    """The strong words before the weak; who has spoken before is not heard again."""
    laid: Layer = {}
    for column in {**weak, **strong}:
        words: dict[str, Word] = {}
        for word in [*strong.get(column, []), *weak.get(column, [])]:
            words.setdefault(word[0], word)
        laid[column] = list(words.values())
    return laid


def _type(entries: list[MappingEntry], rules: Rules) -> str:
    looked_at = entries[:1] if rules.without_types_of_replaced_mappings else entries
    return next((entry.type for entry in looked_at if entry.type), "text")
