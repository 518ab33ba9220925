"""What each operator means: a function from a value, or from a change, to met or not met.

The full meaning is here and is total: a value that is missing or null is `nullMatches`, one that does not fit the type is met
by the negated operators only. domain/rules/fragments.py writes shortcuts for common values and comes here for all others.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, tzinfo
from typing import Any

from domain.cases.numbers import less
from domain.fields.paths import MISSING, Path, Values
from domain.rules.change import Change
from domain.rules.conditions import Leaf
from domain.rules.expectations import One
from domain.rules.moments import Moment
from domain.rules.operators import CASELESS, CHANGES, FAMILY, NEGATED
from domain.rules.values import UNFIT, as_text, converter, equal_as, folded, same
from schemas.rules import Operator, ValueType

ValueTest = Callable[[Any, datetime], bool]
ChangeTest = Callable[[Change, datetime], bool]


def change_test(leaf: Leaf, zone: tzinfo) -> ChangeTest:
    """Whether a change meets the condition."""
    if leaf.operator not in FAMILY:
        test, read = value_test(leaf, zone), leaf.path.read
        return lambda change, now: test(read(change.current), now)
    return _FAMILY[leaf.operator](leaf, zone)


def value_test(leaf: Leaf, zone: tzinfo) -> ValueTest:
    """Whether the value that the condition looks at meets it; of WAS, CHANGED_TO and CHANGED_FROM the value they name."""
    if presence := _PRESENCE.get(leaf.operator):
        return lambda value, now: presence(value)
    operator = _ASKS.get(leaf.operator, leaf.operator)
    if operator in _ASKS.values() and leaf.expected is None:
        wants_nothing = operator is Operator.EQUALS
        return lambda value, now: (value is None or value is MISSING) is wants_nothing
    positive = NEGATED.get(operator, operator)
    compare, negated, absent = _comparison(leaf, positive, zone), positive is not operator, leaf.null_matches

    def test(value: Any, now: datetime) -> bool:
        if value is None or value is MISSING:
            return absent
        return compare(value, now) is not negated

    return test


def _comparison(leaf: Leaf, operator: Operator, zone: tzinfo) -> ValueTest:
    """The positive comparison with a value that is there; what does not fit is not met."""
    if operator in CASELESS:
        return _caseless(operator, folded(str(leaf.expected)))
    convert, kind = converter(leaf.kind, zone), leaf.kind
    expected: tuple[Any, ...] = leaf.expected if isinstance(leaf.expected, tuple) else (leaf.expected,)
    relative = any(isinstance(item, Moment) for item in expected)
    compare = _ORDERINGS[operator](kind) if operator in _ORDERINGS else _equal_to_one(kind)

    def met(value: Any, now: datetime) -> bool:
        found = convert(value)
        if found is UNFIT:
            return False
        return compare(found, [_at(item, kind, now, zone) for item in expected] if relative else expected)

    return met


def _at(expected: One, kind: ValueType, now: datetime, zone: tzinfo) -> Any:
    if not isinstance(expected, Moment):
        return expected
    return expected.day(now, zone) if kind is ValueType.DATE else expected.instant(now, zone)


def _equal_to_one(kind: ValueType) -> Callable[[Any, Sequence[Any]], bool]:
    equal = equal_as(kind)
    return lambda found, expected: any(equal(found, item) for item in expected)


def _less(kind: ValueType) -> Callable[[Any, Any], bool]:
    if kind is ValueType.NUMBER:
        return less

    def earlier(one: date, other: date) -> bool:
        return one < other

    return earlier


def _below(kind: ValueType) -> Callable[[Any, Sequence[Any]], bool]:
    less_of = _less(kind)
    return lambda found, expected: less_of(found, expected[0])


def _above(kind: ValueType) -> Callable[[Any, Sequence[Any]], bool]:
    less_of = _less(kind)
    return lambda found, expected: less_of(expected[0], found)


def _at_most(kind: ValueType) -> Callable[[Any, Sequence[Any]], bool]:
    less_of = _less(kind)
    return lambda found, expected: not less_of(expected[0], found)


def _at_least(kind: ValueType) -> Callable[[Any, Sequence[Any]], bool]:
    less_of = _less(kind)
    return lambda found, expected: not less_of(found, expected[0])


def _between(kind: ValueType) -> Callable[[Any, Sequence[Any]], bool]:
    less_of = _less(kind)
    return lambda found, expected: not less_of(found, expected[0]) and not less_of(expected[1], found)


def _caseless(operator: Operator, expected: str) -> ValueTest:
    """Texts without regard to case. A list contains what one of its elements is."""

    def met(value: Any, now: datetime) -> bool:
        if isinstance(value, list):
            return operator is Operator.CONTAINS and any(_caseless_text(item) == expected for item in value)
        text = _caseless_text(value)
        if text is None:
            return False
        if operator is Operator.CONTAINS:
            return expected in text
        return text.startswith(expected) if operator is Operator.STARTS_WITH else text.endswith(expected)

    return met


def _caseless_text(value: Any) -> str | None:
    text = as_text(value)
    return None if text is UNFIT else folded(text)


# -- presence


def is_null(value: Any) -> bool:
    return value is None or value is MISSING


def is_empty(value: Any) -> bool:
    """Nothing there, or an empty text, list or object."""
    return value is None or value is MISSING or (isinstance(value, str | list | dict) and not value)


# -- what was before


def differs(leaf: Leaf, zone: tzinfo) -> Callable[[Any, Any], bool]:
    """Whether two values are different as the type reads them; missing and null are both no value."""
    convert, equal = converter(leaf.kind, zone), equal_as(leaf.kind)

    def different(one: Any, other: Any) -> bool:
        if is_null(one) or is_null(other):
            return is_null(one) is not is_null(other)
        old, new = convert(one), convert(other)
        return not (same(one, other) if old is UNFIT or new is UNFIT else equal(old, new))

    return different


def _changed(leaf: Leaf, zone: tzinfo) -> ChangeTest:
    different, path = differs(leaf, zone), leaf.path

    def test(change: Change, now: datetime) -> bool:
        if not change.is_update:
            return False
        # Without old values, only the names of the changed fields are known.
        before = change.before
        return change.has_changed(path) if before is None else different(path.read(before), path.read(change.current))

    return test


def _changed_to(leaf: Leaf, zone: tzinfo) -> ChangeTest:
    changed, met, path = _changed(leaf, zone), value_test(leaf, zone), leaf.path
    return lambda change, now: changed(change, now) and met(path.read(change.current), now)


def _changed_from(leaf: Leaf, zone: tzinfo) -> ChangeTest:
    met, path = value_test(leaf, zone), leaf.path

    def test(change: Change, now: datetime) -> bool:
        before = change.before
        if not change.is_update or before is None:
            return False
        return met(path.read(before), now) and not met(path.read(change.current), now)

    return test


def _was(leaf: Leaf, zone: tzinfo) -> ChangeTest:
    met, path = value_test(leaf, zone), leaf.path

    def test(change: Change, now: datetime) -> bool:
        return change.before is not None and met(path.read(change.before), now)

    return test


def seen(leaf: Leaf, change: Change) -> Any:
    """The value that the condition looked at; of the CHANGED ones a pair, the old and the new."""
    if leaf.operator in CHANGES:
        return _read(leaf.path, change.before), leaf.path.read(change.current)
    return _read(leaf.path, change.before) if leaf.operator in FAMILY else leaf.path.read(change.current)


def _read(path: Path, values: Values | None) -> Any:
    return MISSING if values is None else path.read(values)


_PRESENCE: dict[Operator, Callable[[Any], bool]] = {
    Operator.IS_NULL: is_null,
    Operator.IS_NOT_NULL: lambda value: not is_null(value),
    Operator.IS_EMPTY: is_empty,
    Operator.IS_NOT_EMPTY: lambda value: not is_empty(value),
}
_ORDERINGS: dict[Operator, Callable[[ValueType], Callable[[Any, Sequence[Any]], bool]]] = {
    Operator.GREATER_THAN: _above,
    Operator.GREATER_THAN_OR_EQUALS: _at_least,
    Operator.LESS_THAN: _below,
    Operator.LESS_THAN_OR_EQUALS: _at_most,
    Operator.BETWEEN: _between,
}
# What an operator of the family asks of the one value that it names.
_ASKS: dict[Operator, Operator] = {
    Operator.WAS: Operator.EQUALS,
    Operator.WAS_NOT: Operator.NOT_EQUALS,
    Operator.CHANGED_TO: Operator.EQUALS,
    Operator.CHANGED_FROM: Operator.EQUALS,
}
_FAMILY: dict[Operator, Callable[[Leaf, tzinfo], ChangeTest]] = {
    Operator.CHANGED: _changed,
    Operator.CHANGED_TO: _changed_to,
    Operator.CHANGED_FROM: _changed_from,
    Operator.WAS: _was,
    Operator.WAS_NOT: _was,
}
