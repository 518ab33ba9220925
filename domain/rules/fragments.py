"""One condition as a piece of generated source: a shortcut for the common kind of value, the full meaning for the rest.

Fragments are a closed set written here. Nothing that a user wrote is ever part of them: names, values and functions are
bound by reference under names of ours (`n3`, `c3`, `t3`). A shortcut must decide exactly as domain/rules/judging.py would:

- an int or float against a bound that is an int below 2**53 or a float with a fraction: Python compares them exactly, and the
  float nearest to a decimal lies on the same side of the bound (domain/cases/numbers.py)
- an ASCII text is in NFC, and its lower case is its casefold; two texts that are the same are equal in any form
"""

from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any

from domain.cases.numbers import as_decimal
from domain.fields.paths import MISSING
from domain.rules.conditions import Leaf
from domain.rules.judging import change_test, seen, value_test
from domain.rules.operators import CHANGES, FAMILY
from domain.rules.values import folded
from schemas.rules import Operator, ValueType

Bindings = dict[str, Any]
Names = tuple[str, ...]
# The source of the value, the number of the condition and where to bind -> the source of an expression that is true or false.
Shortcut = Callable[[str, int, Leaf, Bindings], str | None]


class Later:
    """The full meaning of a condition, made when a value first needs it: ten thousand rules hold many and use few."""

    __slots__ = ("_leaf", "_make", "_test", "_zone")

    def __init__(self, make: Callable[[Leaf, tzinfo], Callable[[Any, datetime], bool]], leaf: Leaf, zone: tzinfo) -> None:
        self._make, self._leaf, self._zone = make, leaf, zone
        self._test: Callable[[Any, datetime], bool] | None = None

    def __call__(self, looked_at: Any, now: datetime) -> bool:
        if self._test is None:
            self._test = self._make(self._leaf, self._zone)
        return self._test(looked_at, now)


def fragment(leaf: Leaf, number: int, zone: tzinfo, bound: Bindings, held: Names = ()) -> str:
    """The expression for one condition; what it refers to is added to `bound`.

    `held`: the variables that hold what it looks at already, as `observation` has set them.
    """
    if leaf.operator in FAMILY:
        bound[f"t{number}"] = Later(change_test, leaf, zone)
        return _of_change(leaf, number, bound, held) or f"t{number}(change, now)"
    name = held[0] if held else "v"
    read = name if held else f"(v := {reading(leaf, number, bound)})"
    if leaf.operator in NOTHING_THERE and leaf.path.plain and not held:
        return f"({reading(leaf, number, bound)} {NOTHING_THERE[leaf.operator]} None)"
    if shortcut := SHORTCUTS.get(leaf.operator, _none)(read, number, leaf, bound):
        bound[f"t{number}"] = Later(value_test, leaf, zone)
        return f"({shortcut.replace('$', name)} else t{number}({name}, now))"
    bound[f"t{number}"] = value_test(leaf, zone)
    return f"t{number}({read}, now)"


def observation(leaf: Leaf, number: int, bound: Bindings) -> tuple[str, Names]:
    """A line that reads what a condition looks at into variables, and their names: of CHANGED and its kind two, old and new."""
    bound["MISSING"] = MISSING
    if leaf.operator not in FAMILY:
        return f"v{number} = {reading(leaf, number, bound, 'MISSING')}", (f"v{number}",)
    names = (f"a{number}", f"b{number}") if leaf.operator in CHANGES else (f"a{number}",)
    if leaf.path.plain:
        bound[f"n{number}"] = leaf.path.field
        reads = [f"earlier.get(n{number}, MISSING)", f"current.get(n{number}, MISSING)"][: len(names)]
        return f"{', '.join(names)} = {', '.join(reads)}", names
    bound |= {f"s{number}": seen, f"l{number}": leaf}
    return f"{', '.join(names)} = s{number}(l{number}, change)", names


def reading(leaf: Leaf, number: int, bound: Bindings, otherwise: str = "None") -> str:
    """The source that reads the current value; `otherwise` is the source of what stands for a missing one."""
    steps = leaf.path.steps
    if leaf.path.plain:
        bound[f"n{number}"] = leaf.path.field
        return f"current.get(n{number}, {otherwise})" if otherwise != "None" else f"current.get(n{number})"
    if len(steps) == 2 and isinstance(steps[1], str):
        bound |= {f"n{number}": leaf.path.field, f"m{number}": steps[1]}
        return f"(k.get(m{number}, {otherwise}) if type(k := current.get(n{number})) is dict else {otherwise})"
    bound[f"r{number}"] = leaf.path.read
    return f"r{number}(current)"


def _none(read: str, number: int, leaf: Leaf, bound: Bindings) -> str | None:
    return None


def _ordered(symbol: str) -> Shortcut:
    def shortcut(read: str, number: int, leaf: Leaf, bound: Bindings) -> str | None:
        if leaf.kind is not ValueType.NUMBER or (limit := _exact(leaf.expected)) is None:
            return None
        bound[f"c{number}"] = limit
        return f"$ {symbol} c{number} if (k := type({read})) is int or k is float"

    return shortcut


def _between(read: str, number: int, leaf: Leaf, bound: Bindings) -> str | None:
    assert isinstance(leaf.expected, tuple)
    low, high = (_exact(item) for item in leaf.expected)
    if leaf.kind is not ValueType.NUMBER or low is None or high is None:
        return None
    bound |= {f"c{number}": low, f"d{number}": high}
    return f"c{number} <= $ <= d{number} if (k := type({read})) is int or k is float"


def _equal(symbol: str) -> Shortcut:
    number_form = _ordered(symbol)

    def shortcut(read: str, number: int, leaf: Leaf, bound: Bindings) -> str | None:
        if leaf.kind is ValueType.NUMBER:
            return number_form(read, number, leaf, bound)
        bound[f"c{number}"] = leaf.expected
        if leaf.kind is ValueType.BOOLEAN:
            return f"$ {symbol} c{number} if type({read}) is bool"
        if leaf.kind in (ValueType.STRING, ValueType.ENUM):
            return f"$ {symbol} c{number} if type({read}) is str and ($ == c{number} or $.isascii())"
        return None

    return shortcut


def _member(symbol: str) -> Shortcut:
    def shortcut(read: str, number: int, leaf: Leaf, bound: Bindings) -> str | None:
        assert isinstance(leaf.expected, tuple)
        if leaf.kind in (ValueType.STRING, ValueType.ENUM):
            bound[f"c{number}"] = frozenset(leaf.expected)
            return f"$ {symbol} c{number} if type({read}) is str and $.isascii()"
        exact = [_exact(item) for item in leaf.expected]
        if leaf.kind is not ValueType.NUMBER or None in exact:
            return None
        bound[f"c{number}"] = frozenset(exact)
        return f"$ {symbol} c{number} if (k := type({read})) is int or k is float"

    return shortcut


def _caseless(form: str) -> Shortcut:
    def shortcut(read: str, number: int, leaf: Leaf, bound: Bindings) -> str | None:
        bound[f"c{number}"] = folded(str(leaf.expected))
        return f"{form.format(number)} if type({read}) is str and $.isascii()"

    return shortcut


def _empty(answer: str) -> Shortcut:
    def shortcut(read: str, number: int, leaf: Leaf, bound: Bindings) -> str | None:
        return f"{answer} if type({read}) is str"

    return shortcut


def _of_change(leaf: Leaf, number: int, bound: Bindings, held: Names) -> str | None:
    """For two texts that are ASCII, so that there was a before and both are there."""
    if leaf.kind not in (ValueType.STRING, ValueType.ENUM) or not leaf.path.plain:
        return None
    if leaf.operator is not Operator.CHANGED and leaf.expected is None:
        return None
    bound |= {f"n{number}": leaf.path.field, f"c{number}": leaf.expected}
    a, b = (*held, "b")[:2] if held else ("a", "b")
    old = f"type({a if held else f'(a := earlier.get(n{number}))'}) is str"
    new = f"type({b if held else f'(b := current.get(n{number}))'}) is str"
    otherwise = f"else t{number}(change, now))"
    match leaf.operator:
        case Operator.CHANGED:
            return f"({a} != {b} if {old} and {new} and ({a} == {b} or ({a}.isascii() and {b}.isascii())) {otherwise}"
        case Operator.CHANGED_TO:
            return f"({a} != {b} == c{number} if {new} and {b}.isascii() and {old} and {a}.isascii() {otherwise}"
        case Operator.CHANGED_FROM:
            return f"({a} == c{number} != {b} if {old} and {a}.isascii() and {new} and {b}.isascii() {otherwise}"
        case Operator.WAS:
            return f"({a} == c{number} if {old} and {a}.isascii() {otherwise}"
        case _:
            return f"({a} != c{number} if {old} and {a}.isascii() {otherwise}"


def _exact(value: Any) -> int | float | None:
    """The number, where Python's own comparison with an int or a float is right."""
    if type(value) is int:
        return value if abs(value) < _EXACT else None
    try:
        near = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if not abs(near) < _EXACT or as_decimal(near) != as_decimal(value):
        return None
    return int(near) if near.is_integer() else near


_EXACT = 1 << 53

NOTHING_THERE: dict[Operator, str] = {Operator.IS_NULL: "is", Operator.IS_NOT_NULL: "is not"}
SHORTCUTS: dict[Operator, Shortcut] = {
    Operator.EQUALS: _equal("=="),
    Operator.NOT_EQUALS: _equal("!="),
    Operator.GREATER_THAN: _ordered(">"),
    Operator.GREATER_THAN_OR_EQUALS: _ordered(">="),
    Operator.LESS_THAN: _ordered("<"),
    Operator.LESS_THAN_OR_EQUALS: _ordered("<="),
    Operator.BETWEEN: _between,
    Operator.IN: _member("in"),
    Operator.NOT_IN: _member("not in"),
    Operator.CONTAINS: _caseless("c{0} in $.lower()"),
    Operator.NOT_CONTAINS: _caseless("c{0} not in $.lower()"),
    Operator.STARTS_WITH: _caseless("$.lower().startswith(c{0})"),
    Operator.ENDS_WITH: _caseless("$.lower().endswith(c{0})"),
    Operator.IS_EMPTY: _empty('$ == ""'),
    Operator.IS_NOT_EMPTY: _empty('$ != ""'),
}
