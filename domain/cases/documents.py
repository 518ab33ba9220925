"""Case documents: JSON objects whose numbers survive exactly.

Owns how the bytes of a document become values and back. Integers of any length stay `int`; a decimal is a `float` only
where the float's shortest text has the same value, else a `Decimal`. Nothing that a reader could understand in two ways
gets in: the refusal names the place as a JSON pointer and never quotes a value.
"""

from collections.abc import Collection, Mapping
from typing import Any

MAX_DEPTH = 50


class DocumentRefused(Exception):
    """The text is no document of ours: `reason` is a code, `pointer` the JSON pointer of the place."""

    def __init__(self, reason: str, pointer: str) -> None:
        self.reason, self.pointer = reason, pointer
        super().__init__(f"{reason} at {pointer or 'the document'}")


def parse_document(raw: bytes) -> dict[str, Any]:
    """The document, exact and strict. Raises DocumentRefused."""
    raise NotImplementedError


def load_document(raw: bytes) -> dict[str, Any]:
    """The same values from a document that `parse_document` once accepted, several times faster."""
    raise NotImplementedError


def splice(variables: str, audit: Mapping[str, Any]) -> bytes:
    """The snapshot's document: the audit fields, then the variables' own text, which is never serialised again."""
    raise NotImplementedError


def reserved_names(variables: Collection[str], audit: Collection[str]) -> list[str]:
    """Variables that carry the name of an audit field, sorted; the caller refuses them."""
    return sorted(set(variables) & set(audit))
