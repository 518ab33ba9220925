"""Conditions shown back with every parenthesis written: `(stage = PROPOSAL OR hot = true) AND value > 5`."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from domain.fields.paths import Path
from domain.fields.sensitive import HIDDEN
from domain.fields.texts import text_of
from domain.rules.conditions import Joined, Leaf, Node
from domain.rules.moments import Moment
from domain.rules.operators import shape_of
from domain.rules.problems import Language
from schemas.rules import Operator, ValueType

Hides = Callable[[Path], bool]


def shows_all(path: Path) -> bool:
    """Hides nothing."""
    return False


def shown(node: Node | None, language: Language = "en", hides: Hides = shows_all) -> str:
    """The whole tree on one line, a join inside another one in parentheses. `hides`: paths whose values are left out."""
    if node is None:
        return WORDS[language]["always"]
    if not isinstance(node, Joined):
        return shown_leaf(node, language, hides)
    return f" {node.word} ".join(
        f"({shown(part, language, hides)})" if isinstance(part, Joined) else shown_leaf(part, language, hides)
        for part in node.parts
    )


def shown_leaf(leaf: Leaf, language: Language = "en", hides: Hides = shows_all) -> str:
    """One condition: field, symbol, value."""
    symbols = VIETNAMESE if language == "vi" else SYMBOLS
    words = [leaf.path.text, symbols[leaf.operator]]
    if shape_of(leaf.operator) != "none":
        nothing = WORDS[language]["nothing"]
        words.append(HIDDEN if hides(leaf.path) else _written(leaf) if leaf.expected is not None else nothing)
    return " ".join(words) + (WORDS[language]["or-none"] if leaf.null_matches else "")


def shown_expected(leaf: Leaf) -> Any:
    """The expected value as JSON."""
    if isinstance(leaf.expected, tuple):
        return [_json(item) for item in leaf.expected]
    return _json(leaf.expected)


def _written(leaf: Leaf) -> str:
    if isinstance(leaf.expected, tuple):
        return "[" + ", ".join(_one(item, leaf.kind) for item in leaf.expected) + "]"
    return _one(leaf.expected, leaf.kind)


def _one(value: Any, kind: ValueType) -> str:
    text = text_of(_json(value))
    return f'"{text}"' if kind is ValueType.STRING else text


def _json(value: Any) -> Any:
    if isinstance(value, Moment):
        return value.text
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value if isinstance(value, str | bool | None) else text_of(value)


# The documents' symbols (S1 3.5), and words for the two that only a flag had.
SYMBOLS: dict[Operator, str] = {
    Operator.EQUALS: "=",
    Operator.NOT_EQUALS: "!=",
    Operator.GREATER_THAN: ">",
    Operator.GREATER_THAN_OR_EQUALS: ">=",
    Operator.LESS_THAN: "<",
    Operator.LESS_THAN_OR_EQUALS: "<=",
    Operator.CONTAINS: "contains",
    Operator.NOT_CONTAINS: "not contains",
    Operator.STARTS_WITH: "starts with",
    Operator.ENDS_WITH: "ends with",
    Operator.IN: "in list",
    Operator.NOT_IN: "not in list",
    Operator.IS_NULL: "is null",
    Operator.IS_NOT_NULL: "is not null",
    Operator.IS_EMPTY: "is empty",
    Operator.IS_NOT_EMPTY: "is not empty",
    Operator.BETWEEN: "between",
    Operator.CHANGED: "was changed",
    Operator.CHANGED_TO: "changed to",
    Operator.CHANGED_FROM: "changed from",
    Operator.WAS: "was",
    Operator.WAS_NOT: "was not",
}
VIETNAMESE: dict[Operator, str] = {
    **SYMBOLS,
    Operator.CONTAINS: "chứa",
    Operator.NOT_CONTAINS: "không chứa",
    Operator.STARTS_WITH: "bắt đầu bằng",
    Operator.ENDS_WITH: "kết thúc bằng",
    Operator.IN: "thuộc",
    Operator.NOT_IN: "không thuộc",
    Operator.IS_NULL: "không có giá trị",
    Operator.IS_NOT_NULL: "có giá trị",
    Operator.IS_EMPTY: "rỗng",
    Operator.IS_NOT_EMPTY: "không rỗng",
    Operator.BETWEEN: "trong khoảng",
    Operator.CHANGED: "đã thay đổi",
    Operator.CHANGED_TO: "đổi thành",
    Operator.CHANGED_FROM: "đổi từ",
    Operator.WAS: "trước là",
    Operator.WAS_NOT: "trước không phải là",
}
WORDS: dict[Language, dict[str, str]] = {
    "en": {"always": "always", "nothing": "nothing", "or-none": " or no value"},
    "vi": {"always": "luôn luôn", "nothing": "không có gì", "or-none": " hoặc không có giá trị"},
}
