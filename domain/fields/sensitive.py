"""Fields of an entity whose values nobody is shown: in traces, explanations, logs of runs and previews. Pure.

What a rule does with them is its author's choice: a mail or webhook carries what its template says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.fields.paths import Path, Values, parse_path

HIDDEN = "***"
# Keeps the form of an address: a preview of a mail is made, and shows nobody's.
_HIDDEN_ADDRESS = "***@***"
Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sensitive:
    """`fields`: the marked paths by their names. An index counts for every element: too much is hidden, never too little."""

    fields: tuple[Names, ...] = ()

    def hides(self, path: Path) -> bool:
        """Whether the value at the path is in a marked one, or has one in it."""
        names = _names_of(path)
        return any(all(mine == theirs for mine, theirs in zip(field, names, strict=False)) for field in self.fields)

    def masked(self, values: Values) -> dict[str, Any]:
        """The values with a mask in place of each marked one; null stays null."""
        return {name: _within(value, name, self.fields) for name, value in values.items()}


NOTHING = Sensitive()


def sensitive_of(paths: Iterable[str]) -> Sensitive:
    """The marked paths, read. Raises PathRefused."""
    return Sensitive(tuple(dict.fromkeys(_names_of(parse_path(path)) for path in paths)))


def _names_of(path: Path) -> Names:
    return tuple(step for step in path.steps if isinstance(step, str))


def _within(value: Any, name: str, fields: Sequence[Names]) -> Any:
    inner = [field[1:] for field in fields if field[0] == name]
    if not all(inner):
        return _mask(value)
    return _walked(value, inner) if inner else value


def _walked(value: Any, fields: Sequence[Names]) -> Any:
    if isinstance(value, list):
        return [_walked(item, fields) for item in value]
    if isinstance(value, Mapping):
        return {name: _within(item, name, fields) for name, item in value.items()}
    return value


def _mask(value: Any) -> str | None:
    if value is None:
        return None
    return _HIDDEN_ADDRESS if isinstance(value, str) and "@" in value else HIDDEN
