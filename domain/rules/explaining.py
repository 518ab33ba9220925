"""A trace in words, in Vietnamese or English: what a person reads who asks "why did it not fire?"."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domain.fields.paths import MISSING
from domain.fields.sensitive import HIDDEN
from domain.rules.conditions import Leaf
from domain.rules.operators import CHANGES
from domain.rules.problems import Language
from domain.rules.showing import Hides, shown, shown_leaf, shows_all
from domain.rules.tracing import Observed, Trace
from schemas.rules import Operator

if TYPE_CHECKING:
    from domain.rules.compiling import CompiledRule


def explain(trace: Trace, language: Language = "en", *, hides: Hides = shows_all) -> list[str]:
    """The verdict, the conditions as they are joined, then one line for each condition. `hides`: paths not to be shown."""
    words = WORDS[language]
    verdict = "fired" if trace.matched else "held-before" if trace.held_before else "did-not-fire"
    lines = [words[verdict], words["joined"].format(shown(trace.rule.tree, language, hides))]
    return lines + [line_of(item, language, hides) for item in trace.conditions]


def explain_stored(
    rule: "CompiledRule", trace: Mapping[str, Any], language: Language, *, hides: Hides = shows_all
) -> list[str]:
    """The same of a trace as a run has kept it. `rule`: the version that ran."""
    words, leaves = WORDS[language], {leaf.pointer: leaf for leaf in rule.leaves}
    verdict = "fired" if trace["matched"] else "held-before" if trace.get("heldBefore") else "did-not-fire"
    lines = [words[verdict], words["joined"].format(shown(rule.tree, language, hides))]
    kept = [(leaves.get(row["pointer"]), row) for row in trace["conditions"]]
    return lines + [line_of(_observed(leaf, row), language, hides) for leaf, row in kept if leaf is not None]


def _observed(leaf: Leaf, row: Mapping[str, Any]) -> Observed:
    names = ("old", "new") if leaf.operator in CHANGES else ("saw",)
    seen = tuple(row.get(name, MISSING) for name in names)
    return Observed(leaf, seen if leaf.operator in CHANGES else seen[0], row["met"], row["decided"], row["why"])


def line_of(item: Observed, language: Language, hides: Hides = shows_all) -> str:
    """One condition: whether it is met, what it asks, what it saw, and why that decided or not."""
    words = WORDS[language]
    met = words["met" if item.met else "not-met"]
    asked = shown_leaf(item.leaf, language, hides)
    note = words[item.why] if item.why in _SAID else ""
    counted = "" if item.decided else words["not-decisive"]
    return f"{met}: {asked}; {_saw(item, words, hides(item.leaf.path))}" + note + counted


def _saw(item: Observed, words: dict[str, str], hidden: bool) -> str:
    if item.leaf.operator in CHANGES:
        old, new = item.seen
        return words["saw-both"].format(_shown(old, words, hidden), _shown(new, words, hidden))
    name = "saw-old" if item.leaf.operator in (Operator.WAS, Operator.WAS_NOT) else "saw"
    return words[name].format(_shown(item.seen, words, hidden))


def _shown(value: Any, words: dict[str, str], hidden: bool) -> str:
    if value is MISSING:
        return words["nothing"]
    if value is None:
        return "null"
    text = HIDDEN if hidden else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


MAX_SHOWN = 200
# What does not already follow from the value that was seen.
_SAID = frozenset({"unfit", "no-before", "no-update"})

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "fired": "The rule fires.",
        "did-not-fire": "The rule does not fire: its conditions are not met.",
        "held-before": "The rule does not fire: its conditions are met, but they were met before the change too.",
        "joined": "Conditions: {}",
        "met": "met",
        "not-met": "not met",
        "saw": "it saw {}",
        "saw-old": "it saw {} as the old value",
        "saw-both": "it saw {} before and {} after",
        "nothing": "no value",
        "unfit": ", which is not of the value type",
        "no-before": ", and the event does not tell old values",
        "no-update": ", and only an update changes values",
        "not-decisive": " (the result did not depend on it)",
    },
    "vi": {
        "fired": "Quy tắc được kích hoạt.",
        "did-not-fire": "Quy tắc không kích hoạt: điều kiện không thoả.",
        "held-before": "Quy tắc không kích hoạt: điều kiện thoả, nhưng trước thay đổi này cũng đã thoả.",
        "joined": "Điều kiện: {}",
        "met": "thoả",
        "not-met": "không thoả",
        "saw": "giá trị thấy được là {}",
        "saw-old": "giá trị cũ thấy được là {}",
        "saw-both": "trước là {}, sau là {}",
        "nothing": "không có",
        "unfit": ", không đúng kiểu giá trị",
        "no-before": ", và sự kiện không cho biết giá trị cũ",
        "no-update": ", và chỉ có cập nhật mới làm thay đổi giá trị",
        "not-decisive": " (kết quả không phụ thuộc vào nó)",
    },
}
