"""The grammar of paths: RFC 9535 without functions and `..`, as the standard's ABNF has it, blanks included.

Owns text -> syntax tree and every refusal. What the standard refuses is refused here too; what it allows and we do not is
refused with the reason and what to write instead. Reading a document is domain/cases/path_reading.py's.
"""

import re
from collections.abc import Callable
from decimal import Decimal

from domain.cases.escapes import unescaped
from domain.cases.numbers import NumberRefused, exact_decimal, exact_int
from domain.cases.path_syntax import (
    All,
    AnyOf,
    Comparison,
    Condition,
    Constant,
    Exists,
    Filter,
    Index,
    Name,
    Not,
    Operator,
    Query,
    Selector,
    Slice,
    Wildcard,
)

MAX_TEXT = 1_000
MAX_NESTING = 10
LARGEST_INTEGER = 2**53 - 1  # I-JSON's range, which the standard asks of indexes and slices

ADVICE_QUOTE = "write ['name'] for a name with other characters than letters, digits and _"
ADVICE_PLAIN = "write a path such as $.customer.city, $.items[0].sku, $.params['region'] or $.items[*].sku"
ADVICE_NO_FUNCTION = (
    "functions (length, count, match, search, value) are not for mappings: compare with ==, !=, <, <=, > and >="
)
ADVICE_NO_REGEX = "regular expressions can run for hours on a hostile text: compare with == or a range, or map the whole value"
ADVICE_NO_DESCENT = "name every step: `..` walks the whole document, and a new field anywhere would change the column"
ADVICE_NO_ARITHMETIC = "map the values as columns and compute in SQL"


class PathRefused(Exception):
    """The text is no path of ours: `reason`, the 0-based `position` in the text, and `advice` on what to write instead."""

    def __init__(self, reason: str, position: int, advice: str = ADVICE_PLAIN) -> None:
        self.reason, self.position, self.advice = reason, position, advice
        super().__init__(f"{reason} at character {position + 1}: {advice}")


def parse_path(text: str) -> Query:
    """The syntax tree of a path. Raises PathRefused."""
    if len(text) > MAX_TEXT:
        raise PathRefused(f"the path has more than {MAX_TEXT} characters", MAX_TEXT)
    return _Parser(text).path()


class _Parser:
    """Recursive descent: one method for each rule of the standard's grammar; `_at` is the next character."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._nested = text, 0, 0
        self._blank_inside = -1

    def path(self) -> Query:
        if not self._took("$"):
            raise self._refusal("a path begins with $")
        query = Query(True, self._segments())
        if self._at != len(self._text):
            raise self._unexpected()
        return query

    # -- segments and selectors

    def _segments(self) -> tuple[tuple[Selector, ...], ...]:
        found: list[tuple[Selector, ...]] = []
        while True:
            before = self._at
            self._blanks()
            if self._sees(".."):
                raise self._refusal("recursive descent is not for mappings", ADVICE_NO_DESCENT)
            if self._took("."):
                found.append((self._after_dot(),))
            elif self._took("["):
                found.append(self._bracketed())
            else:
                # Blanks belong to a segment that follows; at the end of a path they are refused.
                self._at = before
                return tuple(found)

    def _after_dot(self) -> Selector:
        if self._took("*"):
            return Wildcard()
        if found := _SHORTHAND.match(self._text, self._at):
            self._at = found.end()
            if self._sees("("):
                raise self._refusal("a function call is not for mappings", ADVICE_NO_FUNCTION)
            return Name(found[0])
        raise self._refusal("a name is expected after the dot", ADVICE_QUOTE)

    def _bracketed(self) -> tuple[Selector, ...]:
        selectors = []
        while True:
            self._blanks_inside()
            selectors.append(self._selector())
            self._blanks_inside()
            if self._took("]"):
                return tuple(selectors)
            if not self._took(","):
                raise self._unexpected()

    def _selector(self) -> Selector:
        if self._sees("'") or self._sees('"'):
            return Name(self._string())
        if self._took("*"):
            return Wildcard()
        if self._took("?"):
            self._blanks()
            return Filter(self._any_of())
        return self._index_or_slice()

    def _index_or_slice(self) -> Selector:
        start = self._integer()
        after = self._at
        self._blanks()
        if not self._took(":"):
            self._at = after
            if start is None:
                raise self._unexpected()
            return Index(start)
        self._blanks()
        end, step = self._integer(), None
        after = self._at
        self._blanks()
        if self._took(":"):
            self._blanks()
            step = self._integer()
        else:
            self._at = after
        return Slice(start, end, step)

    def _integer(self) -> int | None:
        found = _INTEGER.match(self._text, self._at)
        if found is None:
            return None
        digits = found[0].lstrip("-")
        if found[0] == "-0" or (len(digits) > 1 and digits[0] == "0"):
            raise self._refusal("a leading zero or -0 is no index", "write 0, 7 or -1")
        if len(digits) > len(str(LARGEST_INTEGER)) or int(digits) > LARGEST_INTEGER:
            raise self._refusal("the integer is outside -(2^53-1) .. 2^53-1", "no list is that long")
        self._at = found.end()
        return int(found[0])

    # -- conditions

    def _any_of(self) -> Condition:
        return self._joined("||", self._all, AnyOf)

    def _all(self) -> Condition:
        return self._joined("&&", self._basic, All)

    def _joined(self, operator: str, part: Callable[[], Condition], made: type[All] | type[AnyOf]) -> Condition:
        parts = [part()]
        while True:
            before = self._at
            self._blanks()
            if not self._took(operator):
                self._at = before
                return made(tuple(parts)) if len(parts) > 1 else parts[0]
            self._blanks()
            parts.append(part())

    def _basic(self) -> Condition:
        self._nested += 1
        if self._nested > MAX_NESTING:
            raise self._refusal(
                f"conditions are nested deeper than {MAX_NESTING}", "write it with fewer parentheses and filters"
            )
        condition = self._negated() if self._took("!") else self._parenthesised() if self._sees("(") else self._test()
        self._nested -= 1
        return condition

    def _negated(self) -> Condition:
        self._blanks()
        if self._sees("("):
            return Not(self._parenthesised())
        if not (self._sees("@") or self._sees("$")):
            if found := _WORD.match(self._text, self._at):
                self._word(found)
            raise self._refusal("! is followed by a query or by parentheses", "write !@.name or !(@.qty > 1)")
        return Not(Exists(self._query()))

    def _parenthesised(self) -> Condition:
        self._took("(")
        self._blanks()
        condition = self._any_of()
        self._blanks()
        if not self._took(")"):
            raise self._unexpected()
        return condition

    def _test(self) -> Condition:
        start = self._at
        left, incomparable = self._operand()
        after = self._at
        self._blanks()
        operator = _OPERATOR.match(self._text, self._at)
        if operator is None:
            self._refuse_other_languages()
            self._at = after
            if isinstance(left, Constant):
                raise PathRefused("a literal alone is no condition", start, "compare it with something")
            return Exists(left)
        self._at = operator.end()
        self._blanks()
        right, also_incomparable = self._operand()
        if refusal := incomparable or also_incomparable:
            raise refusal
        return Comparison(left, _OPERATORS[operator[0]], right)

    def _refuse_other_languages(self) -> None:
        if self._sees("=~"):
            raise self._refusal("regular expressions are not for mappings", ADVICE_NO_REGEX)
        if self._at < len(self._text) and self._text[self._at] in "+-*/%":
            raise self._refusal("arithmetic is not for mappings", ADVICE_NO_ARITHMETIC)
        if self._sees("="):
            raise self._refusal("= is no comparison", "write ==")

    def _operand(self) -> tuple[Query | Constant, PathRefused | None]:
        """A comparable, and why it could not stand beside an operator."""
        start, self._blank_inside = self._at, -1
        found = self._comparable()
        if isinstance(found, Constant):
            return found, None
        if not found.singular:
            advice = "use names and indexes, no wildcard, slice, union or filter"
            return found, PathRefused("only a query that gives one value can be compared", start, advice)
        if self._blank_inside >= 0:
            advice = "write @['name'] and @[0]"
            return found, PathRefused("a compared query has no blanks inside its brackets", self._blank_inside, advice)
        return found, None

    def _comparable(self) -> Query | Constant:
        if self._sees("@") or self._sees("$"):
            return self._query()
        if self._sees("'") or self._sees('"'):
            return Constant(self._string())
        if found := _NUMBER.match(self._text, self._at):
            return Constant(self._number(found))
        if found := _WORD.match(self._text, self._at):
            return self._word(found)
        raise self._unexpected()

    def _query(self) -> Query:
        absolute = self._took("$")
        if not absolute:
            self._took("@")
        return Query(absolute, self._segments())

    def _number(self, found: re.Match[str]) -> int | float | Decimal:
        try:
            number = exact_decimal(found[0]) if found[1] or found[2] else exact_int(found[0])
        except NumberRefused:
            raise self._refusal("the number is too long", "no document may hold such a number") from None
        self._at = found.end()
        return number

    def _word(self, found: re.Match[str]) -> Constant:
        if found[0] in _CONSTANTS:
            self._at = found.end()
            return Constant(_CONSTANTS[found[0]])
        advice = ADVICE_NO_REGEX if found[0] in ("match", "search") else ADVICE_NO_FUNCTION
        raise self._refusal("a function or a bare word is not for mappings", advice)

    # -- strings

    def _string(self) -> str:
        pattern = _SINGLE_QUOTED if self._sees("'") else _DOUBLE_QUOTED
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._refusal(
                "the quoted text has no end, or an escape or character that is not allowed", "escape as JSON does"
            )
        text = unescaped(found[1])
        if text is None:
            raise self._refusal("the quoted text has half a surrogate pair", "write the character itself")
        self._at = found.end()
        return text

    # -- characters

    def _sees(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _took(self, text: str) -> bool:
        if self._sees(text):
            self._at += len(text)
            return True
        return False

    def _blanks_inside(self) -> None:
        before = self._at
        self._blanks()
        if self._at != before:
            self._blank_inside = before

    def _blanks(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in " \t\n\r":
            self._at += 1

    def _unexpected(self) -> PathRefused:
        if self._at >= len(self._text):
            return self._refusal("the path ends too early")
        if self._text[self._at] == "-" and self._text[self._at - 1 : self._at].isalnum():
            return self._refusal("this character cannot follow", ADVICE_QUOTE)
        if self._sees("("):
            return self._refusal("scripts and functions are not for mappings", ADVICE_NO_FUNCTION)
        return self._refusal("this character cannot follow")

    def _refusal(self, reason: str, advice: str = ADVICE_PLAIN) -> PathRefused:
        return PathRefused(reason, self._at, advice)


_CONSTANTS = {"true": True, "false": False, "null": None}
_SHORTHAND = re.compile(r"[A-Za-z_\u0080-\ud7ff\ue000-\U0010ffff][A-Za-z0-9_\u0080-\ud7ff\ue000-\U0010ffff]*")
_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"(?:-?(?:0|[1-9][0-9]*))(?![0-9])(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r"==|!=|<=|>=|<|>")
_OPERATORS: dict[str, Operator] = {"==": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_ESCAPED = r"\\(?:[bfnrt/\\]|u[0-9a-fA-F]{4})"
_SINGLE_QUOTED = re.compile(rf"'((?:[^'\\\x00-\x1f]|{_ESCAPED}|\\')*)'")
_DOUBLE_QUOTED = re.compile(rf'"((?:[^"\\\x00-\x1f]|{_ESCAPED}|\\")*)"')
