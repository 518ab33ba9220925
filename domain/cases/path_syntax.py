"""The syntax tree of a path: what domain/cases/path_grammar.py reads and domain/cases/path_reading.py compiles."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Operator = Literal["==", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Index:
    index: int


@dataclass(frozen=True, slots=True)
class Slice:
    start: int | None
    end: int | None
    step: int | None


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Every element, or every member's value."""


@dataclass(frozen=True, slots=True)
class Filter:
    condition: "Condition"


@dataclass(frozen=True, slots=True)
class Query:
    """Segments from the document (`$`) or from the node that a filter looks at (`@`)."""

    absolute: bool
    segments: "tuple[tuple[Selector, ...], ...]"

    @property
    def singular(self) -> bool:
        """Whether it can give one value at most."""
        return all(len(segment) == 1 and isinstance(segment[0], Name | Index) for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Exists:
    query: Query


@dataclass(frozen=True, slots=True)
class Constant:
    value: str | int | float | Decimal | bool | None


@dataclass(frozen=True, slots=True)
class Comparison:
    left: Query | Constant
    operator: Operator
    right: Query | Constant


@dataclass(frozen=True, slots=True)
class Not:
    condition: "Condition"


@dataclass(frozen=True, slots=True)
class All:
    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    conditions: "tuple[Condition, ...]"


Selector = Name | Index | Slice | Wildcard | Filter
Condition = Exists | Comparison | Not | All | AnyOf
