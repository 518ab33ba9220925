"""JSON numbers whose value survives, and how two of them compare.

A document's number is an `int`, a `float` whose shortest text has exactly the value that was written, or a `Decimal`
where no float has. So two numbers of different types compare as the decimals that their texts are, never as the
binary fraction behind a float.
"""

from decimal import Decimal

MAX_DIGITS = 4_300  # also where Python's own guard against quadratic conversions stands
MAX_EXPONENT = 9_999  # with MAX_DIGITS, every number that a document may hold fits PostgreSQL's numeric

Number = int | float | Decimal

_EXACT_IN_A_FLOAT = 1 << 53
# At most 15 digits beside the point: a float keeps so many, whatever they are.
_SURELY_KEPT = 16


class NumberRefused(ValueError):
    """The number has more digits, or a larger exponent, than a document may hold."""


def exact_int(text: str) -> int:
    """The value of a JSON number without fraction and exponent. Raises NumberRefused."""
    if len(text) > MAX_DIGITS:
        raise NumberRefused
    return int(text)


def exact_decimal(text: str) -> float | Decimal:
    """The value of a JSON number with fraction or exponent. Raises NumberRefused."""
    mantissa, _, exponent = text.lower().partition("e")
    if not exponent and len(text) <= _SURELY_KEPT:
        return float(text)
    if len(mantissa) > MAX_DIGITS or not _is_small(exponent):
        raise NumberRefused
    written, kept = Decimal(text), float(text)
    return kept if as_decimal(kept) == written else written


def _is_small(exponent: str) -> bool:
    digits = exponent.lstrip("+-").lstrip("0")
    return len(digits) <= len(str(MAX_EXPONENT))


def as_decimal(number: Number) -> Decimal:
    """The decimal that the number's text is; `Infinity` for a float that overflowed."""
    return Decimal(repr(number)) if type(number) is float else Decimal(number)


def equal(one: Number, other: Number) -> bool:
    """Whether two numbers have the same value."""
    if type(one) is type(other) or _comparable(one, other):
        return one == other
    return as_decimal(one) == as_decimal(other)


def less(one: Number, other: Number) -> bool:
    """Whether the first number is smaller."""
    if type(one) is type(other) or _comparable(one, other):
        return one < other
    return as_decimal(one) < as_decimal(other)


def _comparable(one: Number, other: Number) -> bool:
    # An integer below 2**53 against a float: the float nearest to a written value lies on the same side of the integer.
    return (type(one) is int and abs(one) < _EXACT_IN_A_FLOAT and type(other) is float) or (
        type(other) is int and abs(other) < _EXACT_IN_A_FLOAT and type(one) is float
    )
