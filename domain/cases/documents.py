"""Case documents: JSON objects whose numbers survive exactly.

Owns how the bytes of a document become values and back. Integers of any length stay `int`; a decimal is a `float` only
where the float's shortest text has the same value, else a `Decimal`. Nothing that two readers could understand in two
ways gets in; the refusal names the place as a JSON pointer and never quotes a value. U+0000 may stand in a string: JSON
allows it, and what a column makes of it is the column's business (domain/cases/conversions.py).
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

import orjson

from domain.cases.document_faults import MAX_BYTES, MAX_DEPTH, DocumentRefused, first_fault
from domain.cases.numbers import exact_decimal, exact_int

__all__ = ["MAX_BYTES", "MAX_DEPTH", "DocumentRefused", "load_document", "parse_document", "reserved_names", "splice"]

_BLANKS = " \t\n\r"


def parse_document(raw: bytes) -> dict[str, Any]:
    """The document, exact and strict.

    Raises DocumentRefused for text that is no UTF-8 or no JSON (NaN and Infinity are none), is no object, has a name twice
    in one object, a lone surrogate, a number of more than MAX_DIGITS, lists and objects nested deeper than MAX_DEPTH, or
    more than MAX_BYTES.
    """
    if len(raw) > MAX_BYTES:
        raise DocumentRefused("too-large", "")
    try:
        text = raw.decode()
        document = _EXACT.decode(text)
    except (ValueError, RecursionError) as error:
        raise first_fault(raw) from error
    if type(document) is not dict or _is_suspicious(text, document):
        raise first_fault(raw)
    return document


def load_document(raw: bytes) -> dict[str, Any]:
    """The same values from a document that `parse_document` once accepted, several times faster.

    orjson makes floats of whatever has a fraction, an exponent or more than 64 bits. Where no number can lose anything by
    that, its answer is the exact one; else the exact parser reads. Raises DocumentRefused.
    """
    if _may_lose(raw):
        return parse_document(raw)
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return parse_document(raw)
    if type(document) is not dict:
        raise DocumentRefused("not-an-object", "")
    return document


def splice(variables: str, audit: Mapping[str, Any]) -> bytes:
    """The snapshot's document: the audit fields, then the variables' own text, which is never serialised again.

    `variables` is the text of an object that `parse_document` accepted and that shares no name with `audit`
    (`reserved_names`); the audit values are texts, null or small integers.
    """
    inner = variables.strip(_BLANKS)[1:-1].strip(_BLANKS).encode()
    head = orjson.dumps(dict(audit))[1:-1]
    return b"{" + head + (b"," if head and inner else b"") + inner + b"}"


def reserved_names(variables: Collection[str], audit: Collection[str]) -> list[str]:
    """Variables that carry the name of an audit field, sorted; the caller refuses them."""
    return sorted(set(variables) & set(audit))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


_EXACT = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=exact_int, parse_float=exact_decimal, parse_constant=_refuse_constant
)


def _is_suspicious(text: str, document: dict[str, Any]) -> bool:
    # Few documents have that many brackets, or a surrogate at all: only those are looked at closely.
    deep = text.count("{") + text.count("[") > MAX_DEPTH and _is_deeper(document, MAX_DEPTH)
    return deep or (_SURROGATE.search(text) is not None and _PAIRED.fullmatch(text) is None)


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# Of valid JSON: texts whose escapes are pairs of surrogates, or of other characters. Everybody's emoji are such pairs.
_PAIRED = re.compile(r"(?:[^\\]++|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\(?!u[dD][89a-fA-F]).)*+", re.DOTALL)


def _is_deeper(value: Any, levels: int) -> bool:
    inner = value.values() if type(value) is dict else value
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in inner if type(item) in (dict, list))


# What a byte may be in a number: digits, the point and signs become 0, exponent marks e; everything else a blank.
_MARKS = bytes(ord("0") if byte in b"0123456789.+-" else ord("e") if byte in b"eE" else ord(" ") for byte in range(256))
_LONG, _HIGH = b"0" * 16, b"0e000"
_MOST_LOOKED_AT = 8


def _may_lose(raw: bytes) -> bool:
    """Whether orjson might change a number.

    1. A number of at most 15 digits with an exponent of at most two has its value in the shortest text of its float, and
       without fraction and exponent it is a 64-bit integer.
    2. So a number at risk shows 16 digits, points or signs in a row, or three of them behind an e. Two searches for fixed
       bytes find none in most documents.
    3. Texts show them as well (account numbers, UUIDs). But a number follows a colon, comma, bracket or blank, a text follows
       a quote. What still looks like a number is looked at closely: integers of up to 18 digits are safe. After
       _MOST_LOOKED_AT the exact parser may as well read the document.
    """
    marks = raw.translate(_MARKS)
    if _LONG in marks or _HIGH in marks:
        return _has_number_at_risk(raw, marks, _LONG) or _has_number_at_risk(raw, marks, _HIGH)
    return False


def _has_number_at_risk(raw: bytes, marks: bytes, sign: bytes) -> bool:
    at = 0
    for _ in range(_MOST_LOOKED_AT):
        at = marks.find(sign, at)
        if at < 0:
            return False
        start = len(marks[: at + 1].rstrip(b"0"))
        if raw[start - 1] in _BEFORE_A_NUMBER and _AT_RISK.match(raw, start):
            return True
        at += len(sign)
    return True


_BEFORE_A_NUMBER = b":,[ \t\n\r"
_AT_RISK = re.compile(rb"-?(?:[0-9]{19}|[0-9]+\.[0-9]*(?<=[0-9.]{17})|[0-9.]{16,}[eE]|[0-9.]+[eE][+-]?[0-9]{3})")
