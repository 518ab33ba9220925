"""Random graphs of classes from a seed: chains, mixins of everything, diamonds, circles, removes, types, unknown names."""

import random

from domain.cases.mapping.model import ClassDefinition, MappingEntry, Provenance
from tests.unit.domain.cases.mapping.reference_resolver import TYPES

COLUMNS = "abcde"


def random_graph(seed: int) -> dict[str, ClassDefinition]:
    """Two to nine classes. Three of four graphs have no circle: there a class extends only what comes after it."""
    chance = random.Random(seed)
    names = [f"K{at}" for at in range(chance.randint(2, 9))]
    free = chance.random() < 0.25
    return {name: _class(chance, name, names if free else names[at + 1 :]) for at, name in enumerate(names)}


def _class(chance: random.Random, name: str, others: list[str]) -> ClassDefinition:
    parent = chance.choice(others) if others and chance.random() < 0.7 else None
    mixins = chance.sample(others, min(len(others), chance.choice((0, 0, 1, 1, 2, 3))))
    if chance.random() < 0.02:
        mixins.insert(chance.randint(0, len(mixins)), "Nobody")
    columns = chance.sample(COLUMNS, chance.randint(0, 3))
    entries = tuple(_entry(chance, name, column) for column in columns)
    return ClassDefinition(
        name, parent, tuple(mixins), False, "demo", None, entries, Provenance(name, "file", "demo", f"{name}:1")
    )


def _entry(chance: random.Random, name: str, column: str) -> MappingEntry:
    place = f"{name}:{COLUMNS.index(column) + 2}"
    if chance.random() < 0.15:
        return MappingEntry(column, remove=True, location=place)
    kind = chance.choice(TYPES) if chance.random() < 0.4 else None
    return MappingEntry(column, json_path=f"$.{name}.{column}", type=kind, location=place)
