"""JSONPath: the part of RFC 9535 that mappings may use, compiled to functions.

Names, indexes, slices, wildcards, unions and comparison filters. What the standard refuses is refused; functions, `..`
and dialects are refused with advice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final


class _Missing(Enum):
    MISSING = "missing"


MISSING: Final = _Missing.MISSING


class PathRefused(Exception):
    """The text is no path of ours: `reason`, the 0-based `position` in the text, and `advice` on what to write instead."""

    def __init__(self, reason: str, position: int, advice: str) -> None:
        self.reason, self.position, self.advice = reason, position, advice
        super().__init__(f"{reason} at character {position + 1}: {advice}")


class PathExhausted(Exception):
    """Reading a path took more steps, or gave more results, than a path may."""


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path.

    `read` answers the value or MISSING; of a `many` path the list of all values in the standard's order, or MISSING for
    none, and may raise PathExhausted. `child_prefix` and `element` split a path with exactly one wildcard:
    `$.items[*].sku` is `$.items` and `$.sku`.
    """

    text: str
    many: bool
    child_prefix: str | None
    element: str | None
    read: Callable[[Any], Any]


def compile_path(text: str) -> Path:
    """The compiled path, from a cache of the last used. Raises PathRefused."""
    raise NotImplementedError
