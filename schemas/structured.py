"""CloudEvents' JSON format: one JSON object that holds the attributes and the data (structured mode).

`data` comes out as the very bytes that the sender wrote: reading and writing it anew would turn 1.10 into 1.1 and an
integer above 64 bits into a float, and the two modes of one event would differ.
"""

import binascii
import json
from base64 import b64decode
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import orjson

from schemas.errors import UndecodableMessage

_DATA = ("data", "data_base64")
_EXTENSIONS = ("sequence",)
_SPACE = " \t\n\r"
_scan = json.JSONDecoder().raw_decode


def read_structured(value: bytes | None, known: Collection[str]) -> tuple[dict[str, str], bytes | None]:
    """The `known` attributes as text, and the data (None for a tombstone).

    Raises UndecodableMessage: no JSON object in UTF-8, a member twice or of a wrong type, data twice, broken base64.
    """
    if value is None:
        raise UndecodableMessage("a structured CloudEvent needs a value, found none")
    members = _members(value, known)
    attributes = {name: _text(name, item) for name, (item, _) in members.items() if name in known and item is not None}
    return attributes, _data(members)


def _members(value: bytes, known: Collection[str]) -> dict[str, tuple[Any, str]]:
    """The members that we read: name -> (value, its JSON text)."""
    try:
        # The strict parser judges first (UTF-8, surrogates, NaN, depth); the second walk may then trust the text.
        if not isinstance(orjson.loads(value), dict):
            raise UndecodableMessage("the structured CloudEvent is not a JSON object")
        members: dict[str, tuple[Any, str]] = {}
        for name, item, text in _walk(value.decode()):
            if name in known or name in _DATA:
                if name in members:
                    raise UndecodableMessage(f"the structured CloudEvent holds {name} twice: send it once")
                members[name] = (item, text)
        return members
    except (orjson.JSONDecodeError, RecursionError, ValueError) as error:
        raise UndecodableMessage("the structured CloudEvent is not valid JSON in UTF-8, or it is nested too deep") from error


def _walk(text: str) -> Iterator[tuple[str, Any, str]]:
    """Name, value and raw text of every member of a valid JSON object."""
    at = _skip(text, text.index("{") + 1, _SPACE)
    while text[at] != "}":
        name, at = _scan(text, at)
        start = _skip(text, at, _SPACE + ":")
        item, end = _scan(text, start)
        yield name, item, text[start:end]
        at = _skip(text, end, _SPACE + ",")


def _skip(text: str, at: int, signs: str) -> int:
    while text[at] in signs:
        at += 1
    return at


def _text(name: str, item: object) -> str:
    """An attribute as text. Only extensions may be numbers or booleans, and we know one such: `sequence`."""
    if isinstance(item, str):
        return item
    if name in _EXTENSIONS and isinstance(item, int) and not isinstance(item, bool):
        return str(item)
    raise UndecodableMessage(f"CloudEvents attribute {name} must be text")


def _data(members: Mapping[str, tuple[Any, str]]) -> bytes | None:
    item, text = members.get("data", (None, ""))
    encoded, _ = members.get("data_base64", (None, ""))
    if item is not None and encoded is not None:
        raise UndecodableMessage("the structured CloudEvent has data and data_base64: send one of them")
    if encoded is None:
        return text.encode() if item is not None else None
    try:
        return b64decode(encoded, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise UndecodableMessage("data_base64 of the structured CloudEvent is not base64") from error
