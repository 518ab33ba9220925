"""Paths to values of an entity: `address.city`, `lines[0].sku`, `['name.with.dots'].x` (RU-6, trap 23).

A name is anything without `. [ ] { } ' "` and blanks at its ends; other names stand in `['...']`, where `\\'` and `\\\\` are
escapes. `[n]` takes an element of a list, from the end when negative. Conditions and templates read by the same paths.
MISSING is told apart from a null that is there.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final

MAX_TEXT = 500
MAX_STEPS = 20
_CACHED = 4_096


class Absent(Enum):
    """No value at all, where None is the JSON null."""

    MISSING = "missing"


MISSING: Final = Absent.MISSING

Values = Mapping[str, Any]
Reader = Callable[[Values], Any]


class PathRefused(ValueError):
    """The text is no path: `reason`, and the 0-based `position` in the text."""

    def __init__(self, reason: str, position: int) -> None:
        self.reason, self.position = reason, position
        super().__init__(f"{reason} at character {position + 1}")


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path. `steps`: names and list indexes; the first is a name, the field."""

    text: str
    steps: tuple[str | int, ...]

    @property
    def field(self) -> str:
        """The entity's own field, in which the path begins."""
        return str(self.steps[0])

    @property
    def plain(self) -> bool:
        """Whether it is one name."""
        return len(self.steps) == 1

    def read(self, values: Values) -> Any:
        """The value, or MISSING."""
        found: Any = values.get(self.field, MISSING)
        for step in self.steps[1:]:
            if isinstance(step, str):
                # JSON's objects are dicts, and a dict is asked faster than any Mapping.
                found = found.get(step, MISSING) if isinstance(found, dict) else MISSING
            elif isinstance(found, list) and -len(found) <= step < len(found):
                found = found[step]
            else:
                return MISSING
        return found

    def touches(self, changed: str) -> bool:
        """Whether a change of the field or path named by `changed` may change this value."""
        if changed in (self.text, self.field):
            return True
        try:
            other = parse_path(changed).steps
        except PathRefused:
            return False
        return all(mine == theirs for mine, theirs in zip(self.steps, other, strict=False))


@lru_cache(maxsize=_CACHED)
def parse_path(text: str) -> Path:
    """The path, from a cache of the last used. Raises PathRefused."""
    if len(text) > MAX_TEXT:
        raise PathRefused(f"the path has more than {MAX_TEXT} characters", MAX_TEXT)
    steps: list[str | int] = []
    at = 0
    while at < len(text) or not steps:
        found = (_FIRST if not steps else _NEXT).match(text, at)
        if found is None:
            raise PathRefused("a name, [0] or ['name'] is expected" if at < len(text) else "the path ends too early", at)
        name, quoted, index = found["name"], found["quoted"], found["index"]
        steps.append(name if name is not None else _ESCAPE.sub(r"\1", quoted) if quoted is not None else int(index))
        at = found.end()
    if len(steps) > MAX_STEPS:
        raise PathRefused(f"the path has more than {MAX_STEPS} steps", at)
    return Path(text, tuple(steps))


_NAME = r"""(?P<name>[^\s.\[\]{}'"\x00](?:[^.\[\]{}'"\x00]*[^\s.\[\]{}'"\x00])?)"""
_QUOTED = r"""\['(?P<quoted>(?:[^'\\\x00]|\\['\\])+)'\]"""
_INDEX = r"\[(?P<index>-?\d{1,6})\]"
_FIRST = re.compile(rf"{_NAME}|{_QUOTED}|(?P<index>(?!))")  # an entity is no list
_NEXT = re.compile(rf"\.{_NAME}|{_QUOTED}|{_INDEX}")
_ESCAPE = re.compile(r"\\(.)")
