"""JSONPath: the part of RFC 9535 that mappings may use, compiled to functions (CD-5, trap 86).

Names, indexes, slices, wildcards, unions and comparison filters; domain/cases/path_grammar.py refuses the rest and says what
to write instead. docs/reference/json-paths.md is the page for people.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from domain.cases.path_grammar import PathRefused, parse_path
from domain.cases.path_reading import MISSING, PathExhausted, reader_of
from domain.cases.path_syntax import Index, Name, Query, Selector, Wildcard

__all__ = ["MISSING", "Path", "PathExhausted", "PathRefused", "compile_path"]

_CACHED = 4_096


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path.

    `read` answers the value or MISSING; of a `many` path the list of all values in the standard's order, or MISSING for
    none, and may raise PathExhausted. A path with exactly one wildcard, and names and indexes around it, makes child rows:
    `$.items[*].sku` has the `child_prefix` `$.items` and the `element` `$.sku`. `name` is the name of a path that is nothing
    else, as most are: whoever reads many columns of one object may look it up without a call.
    """

    text: str
    many: bool
    child_prefix: str | None
    element: str | None
    read: Callable[[Any], Any]
    name: str | None = None


@lru_cache(maxsize=_CACHED)
def compile_path(text: str) -> Path:
    """The compiled path, from a cache of the last used. Raises PathRefused."""
    query = parse_path(text)
    prefix, element = _split(query)
    return Path(text, not query.singular, prefix, element, reader_of(query), _only_name(query))


def _only_name(query: Query) -> str | None:
    match query.segments:
        case ((Name(name),),):
            return name
        case _:
            return None


def _split(query: Query) -> tuple[str | None, str | None]:
    if any(len(segment) != 1 for segment in query.segments):
        return None, None
    steps = [segment[0] for segment in query.segments]
    stars = [at for at, step in enumerate(steps) if isinstance(step, Wildcard)]
    # `$[*]` would make a row of every variable.
    if len(stars) != 1 or stars == [0] or not all(isinstance(step, Name | Index | Wildcard) for step in steps):
        return None, None
    return _written(steps[: stars[0]]), _written(steps[stars[0] + 1 :])


def _written(steps: list[Selector]) -> str:
    """The path of names and indexes in its one canonical form, which two ways of writing share."""
    return "$" + "".join(_step(step) for step in steps)


def _step(step: Selector) -> str:
    if isinstance(step, Index):
        return f"[{step.index}]"
    assert isinstance(step, Name)
    if step.name.isidentifier() and step.name.isascii():
        return f".{step.name}"
    return "['" + "".join(_ESCAPES.get(char, char if char >= " " else f"\\u{ord(char):04x}") for char in step.name) + "']"


_ESCAPES = {"'": "\\'", "\\": "\\\\"}
