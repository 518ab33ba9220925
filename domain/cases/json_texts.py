"""A document's value as JSON text with its numbers intact."""

from decimal import Decimal
from typing import Any

import orjson

_NUL = b"\\u0000"


def exact_json(value: Any) -> bytes:
    """The text, every number as it was written."""
    try:
        return orjson.dumps(value, default=_fragment)
    except TypeError:
        # An integer beyond 64 bits.
        return orjson.dumps(_with_fragments(value), default=_fragment)


def json_text(value: Any) -> str | None:
    """The text, as a jsonb column takes it; None if a string or a name in it has U+0000."""
    text = exact_json(value)
    # The six characters may also be a text about escapes: only then is it worth a walk.
    return None if _NUL in text and _has_nul(value) else text.decode()


def _fragment(number: Any) -> orjson.Fragment:
    if type(number) is not Decimal:
        raise TypeError("not a value of a document")
    return orjson.Fragment(str(number))


def _with_fragments(value: Any) -> Any:
    if type(value) is dict:
        return {name: _with_fragments(inner) for name, inner in value.items()}
    if type(value) is list:
        return [_with_fragments(inner) for inner in value]
    return orjson.Fragment(str(value)) if type(value) is int else value


def _has_nul(value: Any) -> bool:
    if type(value) is dict:
        return any("\0" in name or _has_nul(inner) for name, inner in value.items())
    if type(value) is list:
        return any(_has_nul(inner) for inner in value)
    return type(value) is str and "\0" in value
