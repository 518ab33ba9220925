"""Why a rule matched or did not: for each condition the operator, what it expected, what it saw, and how that went.

All conditions are told, also those after the one that decided: whoever asks "why did it not fire" wants to know all that
was in the way. Values can be hidden from a reader by path; the rest of the trace stays.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from domain.fields.paths import MISSING, PathRefused, parse_path
from domain.fields.sensitive import HIDDEN
from domain.rules.change import Change
from domain.rules.conditions import Joined, Leaf, Node
from domain.rules.judging import change_test
from domain.rules.operators import CHANGES, FAMILY
from domain.rules.showing import Hides, shown_expected, shows_all
from domain.rules.values import UNFIT, converter
from schemas.rules import LogicalOperator

if TYPE_CHECKING:
    from domain.rules.compiling import CompiledRule

# Whether a value is of its type at all does not depend on the zone.
_ANY_ZONE = UTC
MAX_SEEN = 1_000


@dataclass(frozen=True, slots=True)
class Observed:
    """One condition. `seen` is what it looked at, of CHANGED and its kind the pair (old, new); `decided`: whether it counted.

    `why` is a code: met, not-met, missing, null, unfit (not of the value type), no-before (old values unknown), no-update.
    """

    leaf: Leaf
    seen: Any
    met: bool
    decided: bool
    why: str


class Trace:
    """What a rule saw in a change, from a record of `CompiledRule.observe`. How each condition went is told when asked."""

    __slots__ = ("_record", "change", "now", "rule")

    def __init__(self, rule: "CompiledRule", change: Change, now: datetime, record: tuple[Any, ...]) -> None:
        self.rule, self.change, self.now, self._record = rule, change, now, record

    @property
    def matched(self) -> bool:
        """Whether the rule fires; with `onBecomingTrue` also whether it was not true before."""
        return bool(self._record[0])

    @property
    def held_before(self) -> bool:
        """The conditions are met, and were met before: `onBecomingTrue` alone kept the rule from firing."""
        return not self.matched and _value(self.rule.tree, self._outcomes(), set())

    @property
    def conditions(self) -> tuple[Observed, ...]:
        """Every condition, from left to right."""
        outcomes, decided = self._outcomes(), set[int]()
        _value(self.rule.tree, outcomes, decided)
        return tuple(
            Observed(leaf, seen, outcomes[id(leaf)], id(leaf) in decided, self._why(leaf, seen, outcomes[id(leaf)]))
            for leaf, seen in self._seen()
        )

    def as_json(self, hides: Hides = shows_all) -> dict[str, Any]:
        """For the log and the answer of `/test`: values of paths that `hides` names are hidden."""
        return {
            "ruleId": self.rule.rule_id,
            "version": self.rule.version,
            "matched": self.matched,
            **({"heldBefore": True} if self.held_before else {}),
            "conditions": [_row(item, hides(item.leaf.path)) for item in self.conditions],
        }

    def _seen(self) -> Iterator[tuple[Leaf, Any]]:
        values = iter(self._record[1:])
        for leaf in self.rule.leaves:
            yield leaf, (next(values), next(values)) if leaf.operator in CHANGES else next(values)

    def _outcomes(self) -> dict[int, bool]:
        return {id(leaf): change_test(leaf, self.rule.zone)(self.change, self.now) for leaf in self.rule.leaves}

    def _why(self, leaf: Leaf, seen: Any, met: bool) -> str:
        if leaf.operator in FAMILY:
            if leaf.operator in CHANGES and not self.change.is_update:
                return "no-update"
            if self.change.before is None:
                return "met" if met else "no-before"
        looked = seen if leaf.operator not in CHANGES else seen[1]
        if looked is MISSING:
            return "missing"
        if looked is None:
            return "null"
        if leaf.expected is not None and converter(leaf.kind, _ANY_ZONE)(looked) is UNFIT and not isinstance(looked, list):
            return "unfit"
        return "met" if met else "not-met"


def _value(node: Node | None, outcomes: dict[int, bool], looked_at: set[int]) -> bool:
    """The tree's outcome, noting which conditions it had to look at."""
    if node is None:
        return True
    if not isinstance(node, Joined):
        looked_at.add(id(node))
        return outcomes[id(node)]
    settles = node.word is LogicalOperator.OR
    for part in node.parts:
        if _value(part, outcomes, looked_at) is settles:
            return settles
    return not settles


def _row(item: Observed, hidden: bool) -> dict[str, Any]:
    leaf = item.leaf
    seen = [_told(value, hidden) for value in item.seen] if leaf.operator in CHANGES else [_told(item.seen, hidden)]
    names = ["old", "new"] if leaf.operator in CHANGES else ["saw"]
    return {
        "pointer": leaf.pointer,
        "field": leaf.path.text,
        "operator": str(leaf.operator),
        "valueType": str(leaf.kind),
        "expected": HIDDEN if hidden else shown_expected(leaf),
        **{name: value for name, value in zip(names, seen, strict=True) if value is not MISSING},
        "met": item.met,
        "decided": item.decided,
        "why": item.why,
    }


def hidden_again(trace: Mapping[str, Any], hides: Hides) -> dict[str, Any]:
    """A stored trace for somebody who reads it now: fields may have been marked since it was written."""
    return {**trace, "conditions": [_hidden_row(row, hides) for row in trace["conditions"]]}


def _hidden_row(row: Mapping[str, Any], hides: Hides) -> Mapping[str, Any]:
    try:
        hidden = hides(parse_path(row["field"]))
    except PathRefused:
        hidden = True
    if not hidden:
        return row
    return {name: HIDDEN if name in _VALUES and value is not None else value for name, value in row.items()}


_VALUES = frozenset({"expected", "saw", "old", "new"})


def _told(value: Any, hidden: bool) -> Any:
    if value is MISSING or value is None:
        return value
    return HIDDEN if hidden else _short(value)


def _short(value: Any) -> Any:
    """A trace is kept for every run: what a condition saw of a long value is its beginning."""
    if isinstance(value, int | float | bool) or (isinstance(value, str) and len(value) <= MAX_SEEN):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return value if len(text) <= MAX_SEEN else text[:MAX_SEEN] + "…"
