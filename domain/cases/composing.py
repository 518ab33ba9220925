"""Documents of snapshots: what a command's variables are called, and the whole document of a decision. Pure.

The variables' own bytes become part of the document; they are read once to be judged and never written anew.
"""

from collections.abc import Collection
from dataclasses import dataclass

from domain.cases import refusals
from domain.cases.decisions import Decided
from domain.cases.documents import DocumentRefused, parse_document, splice
from schemas.errors import Rejected
from schemas.registry import MAX_EVENT_BYTES

# What surrounds the document in its event: the seal (114 bytes), ids in the data, the headers and the key. Ids have at most
# 200 characters each, of up to 4 bytes, and the chain of causes is capped.
ROOM_FOR_NAMES = 40_000
SEAL_BYTES = 114


@dataclass(frozen=True, slots=True)
class Composed:
    """A decision with its document; None for a removal."""

    decided: Decided
    document: bytes | None


def names_in(variables: str) -> Collection[str] | Rejected:
    """The names of the variables at the top level, or why the text is no document of ours."""
    try:
        return parse_document(variables.encode()).keys()
    except DocumentRefused as refused:
        return refusals.document_refused(refused.reason, refused.pointer)
    except UnicodeEncodeError:
        return refusals.document_refused("lone-surrogate", "")


def compose(decided: Decided) -> Composed | Rejected:
    """The document, if its event can be stored: the outbox refuses what a broker could refuse (900 kB)."""
    if decided.variables is None:
        return Composed(decided, None)
    document = splice(decided.variables, decided.fields)
    size = -(-(len(document) + SEAL_BYTES) // 3) * 4 + ROOM_FOR_NAMES
    return refusals.too_large(size, MAX_EVENT_BYTES) if size > MAX_EVENT_BYTES else Composed(decided, document)
