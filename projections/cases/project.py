"""Document -> rows: what one snapshot is in one table version (P6).

Pure and total: the same document gives the same rows, live or from the first offset, and no JSON document makes it raise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Envelope(NamedTuple):
    """Of which case and version a document is."""

    tenant: str
    case_id: str
    class_name: str
    version: int
    subject_id: str


class Problem(NamedTuple):
    """A column that got no value, for the incident list: the reason is a code with words of ours, never a value."""

    column: str
    reason: str


class Rows(NamedTuple):
    """One snapshot's rows: mapped columns only, in the order of the spec; child rows begin with their position."""

    main: tuple[Any, ...]
    children: dict[str, list[tuple[Any, ...]]]
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class Projection:
    """A table version's compiled mapping."""

    columns: tuple[str, ...]
    children: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def rows(self, document: dict[str, Any], envelope: Envelope) -> Rows:
        """The rows of a snapshot. Never raises."""
        raise NotImplementedError


def compile_projection(spec: Any) -> Projection:
    """The projection of a table version's pinned spec. Raises PathRefused and TypeRefused on a spec that lint refuses."""
    raise NotImplementedError
