"""Sensitive values are taken out of a document before anybody looks at it: pure.

What a sensitive column reads is replaced by MASK in a second copy of the document, so whatever a path makes of that copy is
fit to be shown, however it got there: from above (`$.customer`), from the side (`$.*.taxCode`) or through a filter.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from domain.cases.path_syntax import Filter, Index, Name, Selector, Slice
from domain.cases.sensitivity import MASK

__all__ = ["MASK", "has_filter", "redact"]

Segments = Sequence[Sequence[Selector]]


def redact(document: dict[str, Any], segments: Segments) -> None:
    """Replace, in place, every value that these segments reach. A filter counts as if all passed it: too much is masked, never
    too little."""
    if segments:
        _mask(document, segments)
    else:
        for name in document:
            document[name] = MASK


def _mask(node: Any, segments: Segments) -> None:
    for key in set(_keys(node, segments[0])):
        if len(segments) == 1:
            node[key] = MASK
        else:
            _mask(node[key], segments[1:])


def _keys(node: Any, selectors: Iterable[Selector]) -> Iterable[Hashable]:
    """The names or positions of a node's children that one of the selectors may choose."""
    if type(node) is dict:
        for selector in selectors:
            if isinstance(selector, Name):
                yield from [selector.name] if selector.name in node else []
            elif not isinstance(selector, Index | Slice):
                yield from node
    elif type(node) is list:
        for selector in selectors:
            if isinstance(selector, Index):
                yield from range(len(node))[slice(selector.index, selector.index + 1 or None)]
            elif isinstance(selector, Slice):
                yield from _sliced(node, selector)
            elif not isinstance(selector, Name):
                yield from range(len(node))


def _sliced(node: Sequence[Any], selector: Slice) -> Iterable[int]:
    # A step of 0 is legal in the standard and selects nothing.
    return [] if selector.step == 0 else range(len(node))[slice(selector.start, selector.end, selector.step)]


def has_filter(segments: Segments) -> bool:
    """Whether the path compares values: then its mere outcome would tell something about what it compared."""
    return any(isinstance(selector, Filter) for selectors in segments for selector in selectors)
