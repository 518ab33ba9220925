"""What a path finds in one document and in many: pure, total but for memory and time, which the enclosure bounds.

A value is shown as the path finds it in the redacted copy, and its conversion only where both copies agree: whether a masked
value fits a type would tell its size. A path with a filter sees the redacted copy alone.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from domain.cases.check_path.redaction import has_filter, redact
from domain.cases.conversions import ColumnType, Unfit, converter
from domain.cases.documents import DocumentRefused, load_document
from domain.cases.json_texts import json_text
from domain.cases.path_grammar import parse_path
from domain.cases.paths import MISSING, Path, PathExhausted, compile_path
from domain.cases.sensitivity import MASK

Outcome = Literal["value", "missing", "null", "unreadable", "exhausted"]

MOST_SHOWN, LONGEST_TEXT = 20, 2_000
_HOLDS_NUL = "(holds U+0000, which no column can)"


@dataclass(frozen=True, slots=True)
class Shown:
    """One value: its JSON type and text, what the column would hold, or why it cannot. Masked: the text says nothing."""

    json_type: str
    value: str
    converted: str | None = None
    unfit: str | None = None
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What the path finds in one document; `count` values, of which the first MOST_SHOWN are shown."""

    outcome: Outcome
    count: int = 0
    values: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """What the path finds in many documents: how often missing, null, unreadable or of which type, and how many do not fit."""

    records: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    unfit: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.records + other.records, self.outcomes + other.outcomes, self.unfit + other.unfit)


class Check:
    """A path, a column's type if one is wanted, and the paths of the class's sensitive columns.

    Raises PathRefused and TypeRefused.
    """

    def __init__(self, path: str, column_type: str | None, sensitive: Sequence[str]) -> None:
        self.path: Path = compile_path(path)
        self._convert = converter(ColumnType.parse(column_type)) if column_type is not None else None
        self._sensitive = [parse_path(text).segments for text in sensitive]
        self._compares = has_filter(parse_path(path).segments)

    def find(self, raw: bytes) -> Finding:
        """What one document says."""
        outcome, real, fit_to_see = self._read(raw)
        if outcome != "value":
            return Finding(outcome)
        if not self._each_is_a_row:
            return Finding(outcome, 1, (self._show(real, fit_to_see),))
        pairs = list(zip(real, fit_to_see, strict=True))[:MOST_SHOWN]
        return Finding(outcome, len(real), tuple(self._show(*pair) for pair in pairs))

    def count(self, documents: Sequence[bytes]) -> Tally:
        """What many documents say."""
        outcomes, unfit = Counter[str](), 0
        for raw in documents:
            outcome, real, fit_to_see = self._read(raw)
            outcomes[json_type(real) if outcome == "value" else outcome] += 1
            unfit += outcome == "value" and self._misfits(real, fit_to_see)
        return Tally(len(documents), outcomes, unfit)

    @property
    def _each_is_a_row(self) -> bool:
        return self.path.child_prefix is not None

    def _read(self, raw: bytes) -> tuple[Outcome, Any, Any]:
        """The outcome, the value as it is, and as it may be seen."""
        try:
            document, redacted = load_document(raw), load_document(raw)
            for segments in self._sensitive:
                redact(redacted, segments)
            fit_to_see = self.path.read(redacted)
            real = fit_to_see if self._compares else self.path.read(document)
        except DocumentRefused:
            return "unreadable", None, None
        except PathExhausted:
            return "exhausted", None, None
        if real is MISSING:
            return "missing", None, None
        return ("null" if real is None else "value"), real, self._beside(real, fit_to_see)

    def _beside(self, real: Any, fit_to_see: Any) -> Any:
        """What may be seen, in the shape of what is there: below a masked value the copy has nothing."""
        if not self._each_is_a_row:
            return MASK if fit_to_see is MISSING else fit_to_see
        return fit_to_see if fit_to_see is not MISSING and len(fit_to_see) == len(real) else [MASK] * len(real)

    def _show(self, real: Any, fit_to_see: Any) -> Shown:
        if real != fit_to_see:
            return Shown(json_type(real), text_of(fit_to_see), masked=True)
        converted = self._convert(real) if self._convert is not None and real is not None else None
        if isinstance(converted, Unfit):
            return Shown(json_type(real), text_of(real), unfit=converted.reason)
        return Shown(json_type(real), text_of(real), None if converted is None else _cut(str(converted)))

    def _misfits(self, real: Any, fit_to_see: Any) -> bool:
        if self._convert is None or real != fit_to_see:
            return False
        values = real if self._each_is_a_row else [real]
        return any(isinstance(self._convert(value), Unfit) for value in values if value is not None)


def json_type(value: Any) -> str:
    """JSON's name for the value's type, whole numbers apart."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float() | Decimal():
            return "number"
        case str():
            return "string"
        case dict():
            return "object"
        case _:
            return "array"


def text_of(value: Any) -> str:
    """The value as JSON text, its numbers digit by digit, cut where it is too long to look at."""
    return _cut(json_text(value) or _HOLDS_NUL)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"
