"""What a condition's value means, read once when the rule is saved (traps 12, 17, 22): never again at run time.

A list or range may be JSON or JSON in a text. DATE and DATETIME also take moments relative to the evaluation.
"""

import json
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any

from domain.cases.numbers import Number, less
from domain.rules.moments import Moment, read_moment
from domain.rules.operators import shape_of
from domain.rules.problems import Problem
from domain.rules.values import UNFIT, as_text, converter
from schemas.rules import Operator, ValueType

# One value of the type, a moment, several for a list or a range, or None: no value (IS_NULL, "was cleared").
One = str | Number | date | datetime | Moment
Expected = One | tuple[One, ...] | None

MAX_LIST = 1_000


def read_expected(value: Any, operator: Operator, kind: ValueType, zone: tzinfo) -> Expected | Problem:
    """The value that the operator compares with, or what is wrong; the problem's pointer goes on from the value."""
    shape = shape_of(operator)
    if shape == "none":
        return None
    if value is None:
        missing = Problem("", "value-missing", {"operator": operator})
        return None if shape == "one or nothing" else missing
    if shape in ("one", "one or nothing"):
        return _one(value, kind, zone, "")
    return _several(value, operator, kind, zone)


def _several(value: Any, operator: Operator, kind: ValueType, zone: tzinfo) -> Expected | Problem:
    ranged = operator is Operator.BETWEEN
    example = json.dumps([EXAMPLES[kind], LATER[kind]] if ranged else [EXAMPLES[kind]], ensure_ascii=False)
    refused = Problem("", "value-range" if ranged else "value-list", {"operator": operator, "example": example})
    items = _list(value)
    if items is None or not items or len(items) > MAX_LIST or (ranged and len(items) != 2):
        return refused
    read = [_one(item, kind, zone, "" if isinstance(value, str) else f"/{at}") for at, item in enumerate(items)]
    for item in read:
        if isinstance(item, Problem):
            return item
    found = tuple(item for item in read if not isinstance(item, Problem))
    return refused if ranged and _falls(found[0], found[1], zone) else found


def _list(value: Any) -> list[Any] | None:
    if isinstance(value, str):
        try:
            value = json.loads(value, parse_float=Decimal, parse_constant=str)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, list) else None


def _one(value: Any, kind: ValueType, zone: tzinfo, place: str) -> One | Problem:
    if kind in (ValueType.DATE, ValueType.DATETIME) and isinstance(value, str) and (moment := read_moment(value)):
        return moment
    # A text is asked for as a text: 5 in a rule is a NUMBER whose type was forgotten.
    text_wanted = kind in (ValueType.STRING, ValueType.ENUM)
    found: Any = as_text(value) if isinstance(value, str) else UNFIT
    if not text_wanted:
        found = converter(kind, zone)(value.strip() if isinstance(value, str) else value)
    if found is UNFIT:
        shown = json.dumps(value, ensure_ascii=False, default=str)[:100]
        return Problem(place, "value-unfit", {"value": shown, "type": kind, "example": EXAMPLES[kind]})
    one: One = found
    return one


def _falls(low: Any, high: Any, zone: tzinfo) -> bool:
    """Whether the range is upside down, as far as it can be known before it is used."""
    if isinstance(low, Moment) or isinstance(high, Moment):
        if not (isinstance(low, Moment) and isinstance(high, Moment) and low.base == high.base):
            return False
        return high.instant(_ANY_DAY, zone) < low.instant(_ANY_DAY, zone)
    return high < low if isinstance(low, date) else less(high, low)


_ANY_DAY = datetime(2026, 6, 15, 12, tzinfo=UTC)

EXAMPLES: dict[ValueType, str] = {
    ValueType.STRING: "text",
    ValueType.ENUM: "CONTACTED",
    ValueType.NUMBER: "50000",
    ValueType.BOOLEAN: "true",
    ValueType.DATE: "2025-12-09",
    ValueType.DATETIME: "2025-12-09T08:00:00+07:00",
}
LATER: dict[ValueType, str] = {
    **EXAMPLES,
    ValueType.NUMBER: "90000",
    ValueType.DATE: "2025-12-31",
    ValueType.DATETIME: "2025-12-31T08:00:00+07:00",
}
