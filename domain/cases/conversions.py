"""From a document's value to a column's: total functions that lose nothing and round nothing (CD-4).

`converter(type)` never raises: it answers the converted value or `Unfit(reason)`, and the reason never quotes the value.
A number may come as a JSON number or as its text, where the text has the same value; nothing else is guessed: `"yes"` is no
boolean, `1` is no boolean, `true` is no number, an instant without zone is no instant. docs/reference/column-types.md is
the table for people.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, get_args
from uuid import UUID

from domain.cases.json_texts import json_text
from domain.cases.numbers import MAX_DIGITS, NumberRefused, as_decimal, exact_decimal, exact_int

Kind = Literal["text", "integer", "bigint", "numeric", "boolean", "date", "timestamptz", "uuid", "jsonb"]
Converter = Callable[[Any], Any]

MAX_PRECISION = 1_000


@dataclass(frozen=True, slots=True)
class Unfit:
    """The value does not fit the column's type."""

    reason: str


class TypeRefused(Exception):
    """The text names no column type; the message lists those that exist."""

    def __init__(self, text: str) -> None:
        kinds = ", ".join("numeric(p,s)" if kind == "numeric" else kind for kind in get_args(Kind))
        super().__init__(
            f"{text[:80]!r} is no column type: expected one of {kinds}; numeric has 1 <= p <= {MAX_PRECISION}, 0 <= s <= p"
        )


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column's type. `precision` and `scale` only of numeric, which without them takes any number of a document."""

    kind: Kind
    precision: int | None = None
    scale: int | None = None

    @classmethod
    def parse(cls, text: str) -> "ColumnType":
        """The type that a mapping names, as in `numeric(12,2)`. Raises TypeRefused."""
        found = _TYPE.fullmatch(text.strip().lower())
        if found is None or (found["p"] and found["kind"] != "numeric"):
            raise TypeRefused(text)
        kind: Kind = found["kind"]  # type: ignore[assignment]  # the pattern is made of the kinds
        if not found["p"]:
            return cls(kind)
        precision, scale = int(found["p"]), int(found["s"] or 0)
        if not (1 <= precision <= MAX_PRECISION and scale <= precision):
            raise TypeRefused(text)
        return cls(kind, precision, scale)

    @property
    def sql(self) -> str:
        """The type in DDL, its one canonical form."""
        return self.kind if self.precision is None else f"{self.kind}({self.precision},{self.scale})"

    @property
    def takes_many(self) -> bool:
        """Whether the values of a path with wildcard, slice, union or filter fit: as one JSON list."""
        return self.kind == "jsonb"


def converter(column: ColumnType) -> Converter:
    """The total function value -> converted | Unfit of a type; a value is what `load_document` makes, null excepted.

    Python types, as asyncpg takes them: text str, integer and bigint int, numeric Decimal, boolean bool, date date,
    timestamptz datetime in UTC, uuid UUID, jsonb str (its JSON text).
    """
    if column.kind == "numeric":
        return _to_numeric(column.precision, column.scale)
    return _CONVERTERS[column.kind]


def _to_text(value: Any) -> Any:
    if type(value) is str:
        return value if "\0" not in value else _HAS_NUL
    # An integer has one text; a decimal has many, so it needs a numeric column.
    return str(value) if type(value) is int else _wrong("text or an integer", value)


def _to_boolean(value: Any) -> Any:
    return value if type(value) is bool else _wrong("true or false", value)


def _to_integer(bits: int) -> Converter:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    too_large = Unfit(f"outside the range of {bits} bits")

    def convert(value: Any) -> Any:
        if type(value) is not int:
            value = _whole(value)
            if type(value) is Unfit:
                return value
        return value if low <= value <= high else too_large

    return convert


def _whole(value: Any) -> int | Unfit:
    number = _number(value, "an integer")
    if type(number) is Unfit:
        return number
    if type(number) is int:
        return number
    decimal = as_decimal(number)  # type: ignore[arg-type]  # what is left is float or Decimal
    # Looked at before it is made an integer: 1e9999 has as many digits.
    if decimal.adjusted() > _LONGEST_BIGINT:
        return Unfit("outside the range of 64 bits")
    return int(decimal) if decimal == decimal.to_integral_value() else Unfit("has a fraction")


def _to_numeric(precision: int | None, scale: int | None) -> Converter:
    if precision is None or scale is None:
        return _to_any_numeric
    whole = precision - scale
    too_long = Unfit(f"needs more than {whole} digits before or {scale} after the point")

    def convert(value: Any) -> Any:
        if type(value) is float:
            # Most amounts: a plain text that is short enough is looked at no closer.
            text = repr(value)
            point = text.find(".")
            if 0 <= point <= whole and len(text) - point - 1 <= scale and "e" not in text:
                return Decimal(text)
        decimal = _to_any_numeric(value)
        return decimal if type(decimal) is Unfit or _fits(decimal, precision, scale) else too_long

    return convert


def _to_any_numeric(value: Any) -> Any:
    number = _number(value, "a number")
    return number if type(number) is Unfit else as_decimal(number)  # type: ignore[arg-type]  # Unfit went before


def _fits(decimal: Decimal, precision: int, scale: int) -> bool:
    _, digits, exponent = decimal.as_tuple()
    if not any(digits):
        return True
    assert isinstance(exponent, int)  # documents hold no infinity
    if decimal.adjusted() >= precision - scale:
        return False
    # Zeros at the end are no digits that could be lost.
    return -exponent <= scale or not any(digits[len(digits) - min(len(digits), -exponent - scale) :])


def _number(value: Any, wanted: str) -> int | float | Decimal | Unfit:
    kind = type(value)
    if kind is int or kind is float or kind is Decimal:
        return value  # type: ignore[no-any-return]
    if kind is not str:
        return _wrong(wanted, value)
    if len(value) > MAX_DIGITS or (found := _NUMBER.fullmatch(value)) is None:
        return Unfit(f"the text is not {wanted} as JSON writes it")
    try:
        return exact_decimal(value) if found[1] or found[2] else exact_int(value)
    except NumberRefused:
        return Unfit("the number is too long")


def _to_date(value: Any) -> Any:
    if type(value) is not str:
        return _wrong("a date as text", value)
    if not _DATE.fullmatch(value):
        return Unfit("not a date as in 2026-01-31")
    try:
        return date.fromisoformat(value)
    except ValueError:
        return Unfit("no day of the calendar")


def _to_timestamptz(value: Any) -> Any:
    if type(value) is not str:
        return _wrong("an instant as text", value)
    try:
        return datetime.fromisoformat(value) if _is_plain_utc(value) else _instant(value)
    except (ValueError, OverflowError):
        return Unfit("no instant of the calendar")


def _is_plain_utc(value: str) -> bool:
    # The form that nearly all systems write; of these lengths, with these characters in place, fromisoformat is strict.
    return (
        len(value) in _PLAIN_LENGTHS
        and value[-1] == "Z"
        and value[4] == value[7] == "-"
        and value[10] == "T"
        and value[13] == value[16] == ":"
        and value[19] in ".Z"
        and value[11:13] != "24"
    )


def _instant(value: str) -> datetime | Unfit:
    found = _INSTANT.fullmatch(value)
    if found is None:
        return Unfit("not an instant with zone as in 2026-01-31T23:59:59.123Z or +07:00")
    day, clock, fraction, zone = found.groups()
    digits = (fraction or "").rstrip("0")
    if len(digits) > _MICROSECONDS:
        return Unfit("finer than a microsecond")
    return datetime.fromisoformat(f"{day}T{clock}.{digits:0<6}{_ZULU.get(zone, zone)}").astimezone(UTC)


def _to_uuid(value: Any) -> Any:
    if type(value) is not str:
        return _wrong("a UUID as text", value)
    return UUID(value) if _UUID.fullmatch(value) else Unfit("not a UUID as in 01890a5d-ac96-774b-bcce-b302099a8057")


def _to_jsonb(value: Any) -> Any:
    text = json_text(value)
    return _HAS_NUL if text is None else text


def _wrong(wanted: str, value: Any) -> Unfit:
    return Unfit(f"expected {wanted}, found {_FOUND.get(type(value), 'something else')}")


_HAS_NUL = Unfit("has U+0000, which PostgreSQL cannot hold")
_FOUND: dict[type, str] = {
    bool: "true or false",
    dict: "an object",
    float: "a decimal number",
    Decimal: "a decimal number",
    int: "an integer",
    list: "a list",
    str: "text",
    type(None): "null",
}
_MICROSECONDS = 6
_PLAIN_LENGTHS = frozenset((20, 24, 27))
_LONGEST_BIGINT = 18  # 10^18 has 19 digits
_ZULU = {"Z": "+00:00", "z": "+00:00"}
_TYPE = re.compile(rf"(?P<kind>{'|'.join(get_args(Kind))})(?:\( *(?P<p>[0-9]{{1,4}}) *(?:, *(?P<s>[0-9]{{1,4}}) *)?\))?")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]"
    r"((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])(?:\.([0-9]+))?"
    r"([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CONVERTERS: dict[Kind, Converter] = {
    "text": _to_text,
    "integer": _to_integer(32),
    "bigint": _to_integer(64),
    "boolean": _to_boolean,
    "date": _to_date,
    "timestamptz": _to_timestamptz,
    "uuid": _to_uuid,
    "jsonb": _to_jsonb,
}
