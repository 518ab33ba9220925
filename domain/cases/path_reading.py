"""Reading a document by a path's syntax tree: the standard's semantics as functions made of functions.

A chain of names and indexes becomes one loop. Everything else walks node lists, and every node looked at is a step of a
budget, so that a path ends soon whatever the document; there is no clock in here.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from domain.cases.numbers import equal, less
from domain.cases.path_syntax import (
    All,
    AnyOf,
    Comparison,
    Condition,
    Constant,
    Exists,
    Filter,
    Index,
    Name,
    Not,
    Query,
    Selector,
    Slice,
    Wildcard,
)

MAX_STEPS = 200_000
MAX_RESULTS = 10_000


class _Missing(Enum):
    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing.MISSING


class PathExhausted(Exception):
    """Reading a path took more steps, or gave more results, than a path may."""


class _Scope:
    """One reading: the document that `$` means, and the steps that are left."""

    __slots__ = ("_left", "root")

    def __init__(self, root: Any) -> None:
        self.root, self._left = root, MAX_STEPS

    def spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise PathExhausted(f"the path takes more than {MAX_STEPS} steps in this document")


_Select = Callable[[Any, _Scope, list[Any]], None]
_Values = Callable[[Any, _Scope], list[Any]]
_Value = Callable[[Any, _Scope], Any]
_Test = Callable[[Any, _Scope], bool]


def reader_of(query: Query) -> Callable[[Any], Any]:
    """A document's value, or MISSING; of a query that is not singular all its values, or MISSING for none."""
    return chain([selector for segment in query.segments for selector in segment]) if query.singular else _many(query)


def chain(steps: Sequence[Selector]) -> Callable[[Any], Any]:
    """The reader of names and indexes only."""
    if all(isinstance(step, Name) for step in steps):
        return _names(tuple(step.name for step in steps if isinstance(step, Name)))
    return _names_and_indexes(
        tuple(
            (dict, step.name) if isinstance(step, Name) else (list, step.index)
            for step in steps
            if isinstance(step, Name | Index)
        )
    )


def _names(names: tuple[str, ...]) -> Callable[[Any], Any]:
    # Written out for one and two names: they are nearly all of the paths in use.
    if len(names) == 1:
        only = names[0]
        return lambda node: node.get(only, MISSING) if type(node) is dict else MISSING
    if len(names) == 2:
        return _two_names(*names)

    def read(node: Any) -> Any:
        for name in names:
            if type(node) is not dict:
                return MISSING
            node = node.get(name, MISSING)
        return node

    return read


def _two_names(first: str, second: str) -> Callable[[Any], Any]:
    def read(node: Any) -> Any:
        if type(node) is dict:
            node = node.get(first)
            if type(node) is dict:
                return node.get(second, MISSING)
        return MISSING

    return read


def _names_and_indexes(steps: tuple[tuple[type[Any], Any], ...]) -> Callable[[Any], Any]:
    def read(node: Any) -> Any:
        try:
            for kind, key in steps:
                if type(node) is not kind:
                    return MISSING
                node = node[key]
        except (KeyError, IndexError):
            return MISSING
        return node

    return read


def _many(query: Query) -> Callable[[Any], Any]:
    values = _values_of(query)

    def read(document: Any) -> Any:
        found = values(document, _Scope(document))
        if len(found) > MAX_RESULTS:
            raise PathExhausted(f"the path gives {len(found)} values in this document: {MAX_RESULTS} are allowed")
        return found or MISSING

    return read


def _values_of(query: Query) -> _Values:
    segments = tuple(tuple(_SELECTS[type(selector)](selector) for selector in segment) for segment in query.segments)
    absolute = query.absolute

    def values(node: Any, scope: _Scope) -> list[Any]:
        nodes = [scope.root if absolute else node]
        for selects in segments:
            found: list[Any] = []
            for one in nodes:
                for select in selects:
                    select(one, scope, found)
            nodes = found
        return nodes

    return values


# -- selectors: each appends what it selects of a node, in the standard's order


def _select_name(selector: Name) -> _Select:
    name = selector.name

    def select(node: Any, scope: _Scope, found: list[Any]) -> None:
        scope.spend(1)
        if type(node) is dict and name in node:
            found.append(node[name])

    return select


def _select_index(selector: Index) -> _Select:
    index = selector.index

    def select(node: Any, scope: _Scope, found: list[Any]) -> None:
        scope.spend(1)
        if type(node) is list and -len(node) <= index < len(node):
            found.append(node[index])

    return select


def _select_slice(selector: Slice) -> _Select:
    # With the standard's defaults and bounds a slice is Python's, but for the step 0, which selects nothing.
    wanted, nothing = slice(selector.start, selector.end, selector.step), selector.step == 0

    def select(node: Any, scope: _Scope, found: list[Any]) -> None:
        scope.spend(1)
        if type(node) is list and not nothing:
            selected = node[wanted]
            scope.spend(len(selected))
            found += selected

    return select


def _select_all(_: Wildcard) -> _Select:
    def select(node: Any, scope: _Scope, found: list[Any]) -> None:
        inner = _inner(node)
        scope.spend(1 + len(inner))
        found += inner

    return select


def _select_filtered(selector: Filter) -> _Select:
    test = _test_of(selector.condition)

    def select(node: Any, scope: _Scope, found: list[Any]) -> None:
        inner = _inner(node)
        scope.spend(1 + len(inner))
        found += [one for one in inner if test(one, scope)]

    return select


def _inner(node: Any) -> list[Any]:
    if type(node) is list:
        return node
    return list(node.values()) if type(node) is dict else []


# -- conditions


def _test_of(condition: Condition) -> _Test:
    match condition:
        case Exists(query):
            return _exists(query)
        case Comparison(left, operator, right):
            return _comparison(_operand(left), operator, _operand(right))
        case Not(inner):
            test = _test_of(inner)
            return lambda node, scope: not test(node, scope)
        case All(conditions):
            tests = [_test_of(one) for one in conditions]
            return lambda node, scope: all(test(node, scope) for test in tests)
        case AnyOf(conditions):
            tests = [_test_of(one) for one in conditions]
            return lambda node, scope: any(test(node, scope) for test in tests)


def _exists(query: Query) -> _Test:
    if query.singular:
        value = _operand(query)
        return lambda node, scope: value(node, scope) is not MISSING
    values = _values_of(query)
    return lambda node, scope: bool(values(node, scope))


def _operand(operand: Query | Constant) -> _Value:
    if isinstance(operand, Constant):
        constant = operand.value
        return lambda node, scope: constant
    read, cost, absolute = reader_of(operand), len(operand.segments), operand.absolute

    def value(node: Any, scope: _Scope) -> Any:
        scope.spend(cost)
        return read(scope.root if absolute else node)

    return value


def _comparison(left: _Value, operator: str, right: _Value) -> _Test:
    compare = _COMPARISONS[operator]
    return lambda node, scope: compare(left(node, scope), right(node, scope), scope)


_NUMBERS = frozenset((int, float, Decimal))
_CHARACTERS_IN_A_STEP = 256


def _same(one: Any, other: Any, scope: _Scope) -> bool:
    """Equality of the standard: no value equals a value of another type, numbers by value, nothing equals nothing."""
    scope.spend(1)
    kind = type(one)
    if kind in _NUMBERS:
        return type(other) in _NUMBERS and equal(one, other)
    if kind is not type(other):
        return False
    if kind is list:
        return len(one) == len(other) and all(_same(a, b, scope) for a, b in zip(one, other, strict=True))
    if kind is dict:
        return one.keys() == other.keys() and all(_same(value, other[name], scope) for name, value in one.items())
    if kind is str:
        scope.spend(min(len(one), len(other)) // _CHARACTERS_IN_A_STEP)
    return bool(one == other)


def _less(one: Any, other: Any, scope: _Scope) -> bool:
    """Only numbers have an order, and texts, by Unicode code point."""
    scope.spend(1)
    if type(one) in _NUMBERS:
        return type(other) in _NUMBERS and less(one, other)
    if type(one) is str and type(other) is str:
        scope.spend(min(len(one), len(other)) // _CHARACTERS_IN_A_STEP)
        return one < other
    return False


_COMPARISONS: dict[str, Callable[[Any, Any, _Scope], bool]] = {
    "==": _same,
    "!=": lambda one, other, scope: not _same(one, other, scope),
    "<": _less,
    "<=": lambda one, other, scope: _less(one, other, scope) or _same(one, other, scope),
    ">": lambda one, other, scope: _less(other, one, scope),
    ">=": lambda one, other, scope: _less(other, one, scope) or _same(one, other, scope),
}
_SELECTS: dict[type[Selector], Callable[[Any], _Select]] = {
    Name: _select_name,
    Index: _select_index,
    Slice: _select_slice,
    Wildcard: _select_all,
    Filter: _select_filtered,
}
