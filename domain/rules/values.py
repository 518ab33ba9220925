"""Values of entities as a value type reads them, and when two of them are equal (RU-5, traps 13 to 15, 19).

| type | reads | not |
|---|---|---|
| STRING, ENUM | texts in NFC; numbers and booleans as their plain text | lists, objects |
| NUMBER | numbers by value: 50000 is 50000.00 is "50000.00" | booleans, NaN, other texts |
| BOOLEAN | true, false, and their texts in any case | 0, 1 |
| DATE | `2025-12-09`; an instant as its day in the rule's zone | other texts |
| DATETIME | instants; without a zone, or as a day alone, in the rule's zone | other texts |

What does not fit is UNFIT: it equals nothing and is in no order, and no event can make a comparison raise.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from unicodedata import normalize

from domain.cases.numbers import Number, NumberRefused, equal, exact_decimal, exact_int
from domain.fields.texts import text_of
from schemas.rules import ValueType


class Unreadable(Enum):
    """A value that its type cannot read."""

    UNFIT = "unfit"


UNFIT: Final = Unreadable.UNFIT
Converter = Callable[[Any], Any]


def converter(kind: ValueType, zone: tzinfo) -> Converter:
    """From a value that is there to one that compares with others of the type, or UNFIT. Total."""
    if kind is ValueType.DATE:
        return lambda value: as_date(value, zone)
    if kind is ValueType.DATETIME:
        return lambda value: as_instant(value, zone)
    return _PLAIN[kind]


def as_text(value: Any) -> Any:
    """In NFC, so that two ways of writing ế are one."""
    if isinstance(value, str):
        return value if value.isascii() else normalize("NFC", value)
    return text_of(value) if isinstance(value, bool | int | float | Decimal) else UNFIT


def folded(text: str) -> str:
    """For operators that ignore case: Unicode's canonical caseless form, never the machine's locale."""
    return text.lower() if text.isascii() else normalize("NFC", normalize("NFD", text).casefold())


def as_number(value: Any) -> Any:
    """An exact number of domain/cases/numbers.py."""
    if isinstance(value, bool):
        return UNFIT
    if isinstance(value, int | float | Decimal):
        return value if value == value else UNFIT
    if isinstance(value, str) and (found := _NUMBER.fullmatch(value)):
        try:
            return exact_decimal(value) if found[1] or found[2] else exact_int(value)
        except NumberRefused:
            return UNFIT
    return UNFIT


def as_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    return _BOOLEANS.get(value.lower(), UNFIT) if isinstance(value, str) else UNFIT


def as_date(value: Any, zone: tzinfo) -> Any:
    """The day, of an instant in the zone."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return UNFIT
    instant = as_instant(value, zone)
    return UNFIT if instant is UNFIT else day_of(instant, zone)


def as_instant(value: Any, zone: tzinfo) -> Any:
    """The instant in UTC."""
    if not isinstance(value, str) or not _DATETIME.fullmatch(value):
        return UNFIT
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return UNFIT


def day_of(instant: datetime, zone: tzinfo) -> Any:
    """The calendar day in a zone; UNFIT at the ends of the calendar."""
    try:
        return instant.astimezone(zone).date()
    except OverflowError:
        return UNFIT


def equal_as(kind: ValueType) -> Callable[[Any, Any], bool]:
    """Equality of two converted values of a type."""
    return equal if kind is ValueType.NUMBER else lambda one, other: bool(one == other)


def same(one: Any, other: Any) -> bool:
    """Equality of two JSON values: numbers by value, texts in NFC, true is not 1. For values without a type."""
    if one is other:
        return True
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    if isinstance(one, str) and isinstance(other, str):
        return one == other or bool(as_text(one) == as_text(other))
    if isinstance(one, int | float | Decimal) and isinstance(other, int | float | Decimal):
        return _equal_numbers(one, other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(item, other[key]) for key, item in one.items())
    return False


def _equal_numbers(one: Number, other: Number) -> bool:
    if one != one or other != other:
        return one != one and other != other
    return equal(one, other)


_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATETIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_BOOLEANS = {"true": True, "false": False}
_PLAIN: dict[ValueType, Converter] = {
    ValueType.STRING: as_text,
    ValueType.ENUM: as_text,
    ValueType.NUMBER: as_number,
    ValueType.BOOLEAN: as_boolean,
}
