"""A member of a JSON body as the text that the client sent: for values whose digits must not be touched."""

import json
from json.decoder import scanstring  # type: ignore[attr-defined]  # the standard library's own string scanner

_BLANKS = " \t\n\r"
# Values are only measured: numbers become nothing, so that no length of digits costs anything.
_MEASURE = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=len)


def raw_member(body: bytes, name: str) -> str:
    """The last member of this name of the object, which is valid JSON. Raises KeyError."""
    text, found = body.decode(), None
    at = _skip(text, 0) + 1
    while text[at := _skip(text, at)] != "}":
        key, at = scanstring(text, _skip(text, at + (text[at] == ",")) + 1, True)
        start = _skip(text, _skip(text, at) + 1)
        _, at = _MEASURE.raw_decode(text, start)
        if key == name:
            found = text[start:at]
    if found is None:
        raise KeyError(name)
    return found


def _skip(text: str, at: int) -> int:
    while text[at] in _BLANKS:
        at += 1
    return at
