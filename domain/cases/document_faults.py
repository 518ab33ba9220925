"""Where a refused document is wrong: a slow, plain reader of strict JSON that stops at the first fault.

`parse_document` asks it only after a refusal, so that the accepted documents, nearly all, are read at full speed. A
property test holds the two to the same verdict.
"""

import re
from typing import Literal, overload

from domain.cases.escapes import unescaped
from domain.cases.numbers import NumberRefused, exact_decimal, exact_int

MAX_DEPTH = 50
MAX_BYTES = 900_000
_POINTER_SHOWN = 300


class DocumentRefused(Exception):
    """The text is no document of ours: `reason` is a code, `pointer` the JSON pointer of the place."""

    def __init__(self, reason: str, pointer: str) -> None:
        self.reason, self.pointer = reason, pointer[:_POINTER_SHOWN]
        super().__init__(f"{reason} at {self.pointer or 'the document itself'}")


@overload
def first_fault(raw: bytes) -> DocumentRefused: ...
@overload
def first_fault(raw: bytes, *, or_none: Literal[True]) -> DocumentRefused | None: ...
def first_fault(raw: bytes, *, or_none: bool = False) -> DocumentRefused | None:
    """The first reason to refuse the document; None, when that may be, if there is none."""
    try:
        text, broken = raw.decode(), False
    except UnicodeDecodeError as error:
        # What stands before the broken byte says where it is.
        text, broken = raw[: error.start].decode(), True
    try:
        _Reader(text).document()
    except DocumentRefused as fault:
        return DocumentRefused("not-utf-8", fault.pointer) if broken and fault.reason == "not-json" else fault
    return None if or_none and not broken else DocumentRefused("not-utf-8" if broken else "not-json", "")


class _Reader:
    """One pass over a text; `at` is the next character, `_places` the pointer's parts."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._places: list[str] = []

    def document(self) -> None:
        """Raises DocumentRefused at the first fault."""
        self._blanks()
        is_object = self._text.startswith("{", self._at)
        self._value()
        self._blanks()
        if self._at != len(self._text):
            raise self._refusal("not-json")
        if not is_object:
            raise self._refusal("not-an-object")

    def _value(self) -> None:
        start = self._text[self._at : self._at + 1]
        if start in ("{", "["):
            self._container(is_object=start == "{")
        elif start == '"':
            self._string()
        elif (word := _WORD.match(self._text, self._at)) is None:
            raise self._refusal("not-json")
        elif word[0] in ("NaN", "Infinity", "-Infinity"):
            raise self._refusal("not-a-number")
        else:
            self._number(word[0])
            self._at = word.end()

    def _container(self, *, is_object: bool) -> None:
        if len(self._places) == MAX_DEPTH:
            raise self._refusal("too-deep")
        self._at += 1
        end, names, count = "}" if is_object else "]", set[str](), 0
        while not self._took(end):
            if count and not self._took(","):
                raise self._refusal("not-json")
            self._blanks()
            if is_object:
                self._name(names)
            else:
                self._places.append(str(count))
            self._value()
            self._places.pop()
            count += 1

    def _name(self, names: set[str]) -> None:
        name = self._string()
        self._places.append(name.replace("~", "~0").replace("/", "~1"))
        if name in names:
            raise self._refusal("duplicate-name")
        names.add(name)
        if not self._took(":"):
            raise self._refusal("not-json")
        self._blanks()

    def _string(self) -> str:
        found = _STRING.match(self._text, self._at)
        if found is None:
            raise self._refusal("not-json")
        text = unescaped(found[1])
        if text is None:
            raise self._refusal("lone-surrogate")
        self._at = found.end()
        return text

    def _number(self, word: str) -> None:
        if word in ("true", "false", "null"):
            return
        try:
            exact_int(word) if word.lstrip("-").isdigit() else exact_decimal(word)
        except NumberRefused:
            raise self._refusal("number-too-long") from None

    def _took(self, char: str) -> bool:
        self._blanks()
        if self._text.startswith(char, self._at):
            self._at += 1
            return True
        return False

    def _blanks(self) -> None:
        found = _BLANKS.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _refusal(self, reason: str) -> DocumentRefused:
        return DocumentRefused(reason, "".join(f"/{place}" for place in self._places))


_BLANKS = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"((?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"')
_WORD = re.compile(r"true|false|null|NaN|-?Infinity|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
