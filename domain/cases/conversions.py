"""From a document's value to a column's: total functions that lose nothing and round nothing.

`converter(type)` never raises: it answers the converted value or `Unfit(reason)`, and the reason never quotes the value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "integer", "bigint", "numeric", "boolean", "date", "timestamptz", "uuid", "jsonb"]


@dataclass(frozen=True, slots=True)
class Unfit:
    """The value does not fit the column's type."""

    reason: str


class TypeRefused(Exception):
    """The text names no column type; the message lists those that exist."""


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column's type; `precision` and `scale` only of numeric."""

    kind: Kind
    precision: int | None = None
    scale: int | None = None

    @classmethod
    def parse(cls, text: str) -> "ColumnType":
        """The type that a mapping names, as in "numeric(12,2)". Raises TypeRefused."""
        raise NotImplementedError

    @property
    def sql(self) -> str:
        """The type in DDL, its one canonical form."""
        raise NotImplementedError


def converter(column: ColumnType) -> Callable[[Any], Any]:
    """The total function value -> converted | Unfit of a type.

    Python types, as asyncpg takes them: text str, integer and bigint int, numeric Decimal, boolean bool, date date,
    timestamptz datetime in UTC, uuid UUID, jsonb str (its JSON text).
    """
    raise NotImplementedError
