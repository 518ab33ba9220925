"""JSON's escapes in quoted texts, for documents and for paths."""

import re


def unescaped(quoted: str) -> str | None:
    """The text between the quotes with its escapes resolved; None if a half of a surrogate pair is left."""
    text = _ESCAPE.sub(_character, quoted)
    return None if _HALF_PAIR.search(text) else text


def _character(escape: re.Match[str]) -> str:
    pair, single, letter = escape.groups()
    if pair:
        return chr(0x10000 + (int(pair[2:6], 16) - 0xD800) * 0x400 + int(pair[8:12], 16) - 0xDC00)
    return chr(int(single, 16)) if single else _LETTERS.get(letter, letter)


_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPE = re.compile(r"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\(.)")
_HALF_PAIR = re.compile("[\ud800-\udfff]")
