"""Which column types may replace each other: a wider number may, nothing else.

    integer -> bigint -> numeric(p,s) with p-s >= 19
    integer ----------> numeric(p,s) with p-s >= 10
    numeric(p,s) -----> numeric(q,t) with t >= s and q-t >= p-s

Every step keeps each value and its order, so whoever reads the column sees the same numbers. Everything else (text for a
number, timestamptz for date) would sort, compare or mean something else, and is a conflict.
"""

from collections.abc import Iterable
from functools import lru_cache

from domain.cases.conversions import ColumnType

# Digits before the point that the whole numbers may have.
_DIGITS = {"integer": 10, "bigint": 19}
DEFAULT_TYPE = "text"


@lru_cache(maxsize=1024)
def widens(wide: str, narrow: str) -> bool:
    """Whether a column of type `wide` holds every value of `narrow` as the same value. Raises TypeRefused."""
    ours, theirs = ColumnType.parse(wide), ColumnType.parse(narrow)
    if ours == theirs:
        return True
    if theirs.kind in _DIGITS:
        if ours.kind in _DIGITS:
            return _DIGITS[ours.kind] >= _DIGITS[theirs.kind]
        return ours.kind == "numeric" and _whole_digits(ours) >= _DIGITS[theirs.kind]
    return (
        ours.kind == theirs.kind == "numeric"
        and _scale(ours) >= _scale(theirs)
        and _whole_digits(ours) >= _whole_digits(theirs)
    )


def widest(types: Iterable[str]) -> str | None:
    """The one of these types that holds the values of all, or None. None is invented."""
    distinct = sorted(set(types))
    return next((wide for wide in distinct if all(widens(wide, narrow) for narrow in distinct)), None)


def _whole_digits(numeric: ColumnType) -> float:
    return float("inf") if numeric.precision is None else numeric.precision - (numeric.scale or 0)


def _scale(numeric: ColumnType) -> float:
    return float("inf") if numeric.precision is None else numeric.scale or 0
