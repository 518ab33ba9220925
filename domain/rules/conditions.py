"""Conditions as a tree: joined from left to right as S1 does, groups in parentheses, every value read once.

`A OR B AND C` is `(A OR B) AND C` (trap 7): each condition's `logicalOperator` joins all that was before with the next one,
AND where there is none (trap 8). Flags and operators of change are one canonical operator. Reading never stops at the first
problem, and it changes no condition that it was given (trap 11).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from domain.fields.paths import Path, PathRefused, parse_path
from domain.rules.expectations import Expected, read_expected
from domain.rules.operators import FAMILY, PRESENCE, canonical, legal_types
from domain.rules.problems import Problem
from schemas.rules import MAX_CONDITIONS, Condition, LogicalOperator, Operator, RuleDefinition, ValueType

MAX_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Leaf:
    """One condition in canonical form. `pointer` is its place in the rule."""

    pointer: str
    path: Path
    operator: Operator
    expected: Expected
    kind: ValueType
    null_matches: bool


@dataclass(frozen=True, slots=True)
class Joined:
    """Two or more in parentheses, all joined by the same word."""

    word: LogicalOperator
    parts: tuple["Leaf | Joined", ...]


Node = Leaf | Joined


@dataclass(frozen=True, slots=True)
class Reading:
    """`tree` is None for a rule without conditions, which always matches, and where a problem leaves none."""

    tree: Node | None
    problems: tuple[Problem, ...]
    mixed: tuple[str, ...]


def read_conditions(rule: RuleDefinition, zone: tzinfo) -> Reading:
    """The conditions of a rule with all that is wrong with them. `mixed`: where AND and OR meet without a group."""
    reader = _Reader(zone)
    tree = reader.chain(rule.conditions, "/conditions", 1)
    if reader.leaves > MAX_CONDITIONS:
        reader.problems.append(Problem("/conditions", "too-many-conditions", {"most": str(MAX_CONDITIONS)}))
    return Reading(tree, tuple(reader.problems), tuple(reader.mixed))


def leaves_of(node: Node | None) -> Iterator[Leaf]:
    """The conditions of a tree, from left to right."""
    if isinstance(node, Leaf):
        yield node
    elif node is not None:
        for part in node.parts:
            yield from leaves_of(part)


class _Reader:
    def __init__(self, zone: tzinfo) -> None:
        self.problems: list[Problem] = []
        self.mixed: list[str] = []
        self.leaves = 0
        self._zone = zone

    def chain(self, conditions: Sequence[Condition], place: str, depth: int) -> Node | None:
        """Joins what stands on one level, in order of `conditionOrder`, else as written."""
        placed = [(f"{place}/{at}", condition) for at, condition in enumerate(conditions)]
        placed.sort(key=lambda item: 0 if item[1].condition_order is None else item[1].condition_order)
        joined: Node | None = None
        word: LogicalOperator | None = None
        words = set()
        for pointer, condition in placed:
            node = self._node(condition, pointer, depth)
            if node is not None and joined is not None:
                words.add(word or LogicalOperator.AND)
                joined = _join(joined, word or LogicalOperator.AND, node)
            joined, word = joined or node, condition.logical_operator
        if len(words) > 1:
            self.mixed.append(place)
        return _grouped(joined)

    def _node(self, condition: Condition, pointer: str, depth: int) -> Node | None:
        if condition.group is None:
            self.leaves += 1
            return self._leaf(condition, pointer)
        if extra := _said(condition) - {"group", "logical_operator", "condition_order"}:
            names = ", ".join(sorted(Condition.model_fields[name].alias or name for name in extra))
            self._says(pointer, "condition-and-group", names=names)
        if depth >= MAX_DEPTH:
            self._says(pointer, "too-deep", most=str(MAX_DEPTH))
            return None
        if not condition.group:
            self._says(f"{pointer}/group", "group-empty")
        return self.chain(condition.group, f"{pointer}/group", depth + 1)

    def _leaf(self, condition: Condition, pointer: str) -> Node | None:
        operator, path = self._operator(condition, pointer), self._path(condition, pointer)
        if operator is None:
            return None
        kind = condition.value_type or ValueType.STRING
        if kind not in (legal := legal_types(operator)):
            fits = ", ".join(one for one in ValueType if one in legal)
            self._says(f"{pointer}/valueType", "operator-type", operator=operator, type=kind, legal=fits)
            return None
        expected = read_expected(condition.value, operator, kind, self._zone)
        if isinstance(expected, Problem):
            self.problems.append(Problem(f"{pointer}/value{expected.pointer}", expected.code, expected.params))
            return None
        if operator in PRESENCE | {Operator.CHANGED}:
            if condition.null_matches:
                self._says(f"{pointer}/nullMatches", "null-matches", operator=operator)
            if condition.value is not None:
                self._says(f"{pointer}/value", "value-ignored", operator=operator)
        return None if path is None else Leaf(pointer, path, operator, expected, kind, condition.null_matches)

    def _operator(self, condition: Condition, pointer: str) -> Operator | None:
        comparison, check = condition.old_value_comparison, bool(condition.check_old_value)
        operator = canonical(condition.operator, check, comparison)
        if check and operator is None:
            self._says(f"{pointer}/oldValueComparison", "old-comparison")
        elif operator is None:
            self._says(pointer, "condition-empty")
        if comparison is not None and not check:
            self._says(f"{pointer}/oldValueComparison", "comparison-ignored")
        elif comparison is not None and condition.operator in FAMILY and condition.operator is not comparison:
            names = {"operator": str(condition.operator), "comparison": str(comparison)}
            self._says(f"{pointer}/operator", "comparison-conflict", **names)
        return operator

    def _path(self, condition: Condition, pointer: str) -> Path | None:
        if condition.field_name is None:
            if condition.operator is not None or condition.check_old_value:
                self._says(pointer, "condition-empty")
            return None
        try:
            return parse_path(condition.field_name)
        except PathRefused as error:
            self._says(f"{pointer}/fieldName", "path", text=condition.field_name, reason=str(error))
            return None

    def _says(self, pointer: str, code: str, **params: Any) -> None:
        self.problems.append(Problem(pointer, code, {name: str(value) for name, value in params.items()}))


def _join(left: Node, word: LogicalOperator, right: Node) -> Node:
    # An open chain grows as long as the word is the same; another word closes it in parentheses.
    if isinstance(left, _Chain) and left.word is word:
        return _Chain(word, (*left.parts, right))
    return _Chain(word, (_grouped(left) or left, right))


class _Chain(Joined):
    """A chain that the next condition may still lengthen; a group is a plain Joined, which it may not."""


def _said(condition: Condition) -> set[str]:
    """What the author said: a stored version also says what is left out, and a default says nothing."""
    return {name for name in condition.model_fields_set if getattr(condition, name) != Condition.model_fields[name].default}


def _grouped(node: Node | None) -> Node | None:
    return Joined(node.word, node.parts) if isinstance(node, _Chain) else node
