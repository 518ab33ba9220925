"""A rule becomes one function, once; every event is judged by it (trap 39).

Why generated source and not closures: a rule is judged for every event of its entity type, and most events do not match.
One generated function per rule judges a hundred rules several times faster than closures that call each other
(docs/explanation/rules.md has the figures). The source is put together only from the fragments of domain/rules/fragments.py and
the words `and`, `or` and parentheses; names, values and functions of a rule are bound by reference. No text that a user wrote
is ever compiled, and tests hold the function to a slow evaluator that shares no code with it.

A condition after the one that decides is not looked at (trap 10), and nothing is parsed at run time, so no event can make a
rule raise. Compiling a rule that `check` refuses raises RuleBroken: the caller quarantines that rule alone.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cached_property, lru_cache
from types import CodeType
from typing import Any

from domain.fields.paths import Path, parse_path
from domain.rules.change import STAGE_FIELDS, Change, stage_field
from domain.rules.conditions import Joined, Leaf, Node, leaves_of, read_conditions
from domain.rules.fragments import Bindings, fragment, observation
from domain.rules.problems import Problem, errors
from domain.rules.tracing import Trace
from schemas.rules import RuleDefinition, TriggerType

Judge = Callable[[Change, datetime], bool]
Observe = Callable[[Change, datetime], tuple[Any, ...]]

_SHAPES = 4_096


class RuleBroken(ValueError):
    """The stored rule no longer passes its check; `problems` say where."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{problem.pointer} {problem.code}" for problem in problems))


@dataclass(frozen=True, eq=False)
class CompiledRule:
    """A version of a rule, ready to judge. `matches(change, now)` is pure and total; `watched`: the field of its trigger.

    `order`: among rules that match one event, priority, then age, then id (trap 41). `read`: gives what the rule says; one that
    only judges does without, since a rule's words take several times the memory of its function.
    """

    tenant_id: str
    rule_id: str
    version: int
    entity_type: str
    trigger: TriggerType
    order: tuple[int, int, str]
    zone: tzinfo
    watched: Path | None
    tree: Node | None
    leaves: tuple[Leaf, ...]
    matches: Judge
    read: Callable[[], RuleDefinition]

    @property
    def definition(self) -> RuleDefinition:
        """What the rule says."""
        return self.read()

    @cached_property
    def observe(self) -> Observe:
        """`observe(change, now)` judges as `matches` does and keeps what every condition looked at: a record for `Trace`.

        Compiled when it is first asked for, since most rules are never traced.
        """
        observe = _observing(self.tree, self.leaves, self.zone)
        if not self.definition.on_becoming_true:
            return observe
        matches = self.matches
        return lambda change, now: (matches(change, now), *observe(change, now)[1:])

    def trace(self, change: Change, now: datetime) -> Trace:
        """What every condition saw and how it decided, also where the decision was made before it."""
        return Trace(self, change, now, self.observe(change, now))


def compile_rule(
    tenant_id: str,
    rule_id: str,
    version: int,
    definition: RuleDefinition,
    *,
    created_order: int = 0,
    zone: tzinfo = UTC,
    stage_fields: Mapping[str, str] = STAGE_FIELDS,
    read: Callable[[], RuleDefinition] | None = None,
) -> CompiledRule:
    """The rule's one function. `created_order`: rises with the age of rules; `zone`: where its dates and days are;
    `read`: gives the definition again, where it is not to be kept.

    Raises RuleBroken for a definition that was never checked, or by other rules than today's.
    """
    found = read_conditions(definition, zone)
    if wrong := errors(list(found.problems)):
        raise RuleBroken(wrong)
    leaves = tuple(leaves_of(found.tree))
    matches = _matching(found.tree, leaves, zone)
    if definition.on_becoming_true:
        matches = _becoming(matches)
    return CompiledRule(
        tenant_id,
        rule_id,
        version,
        sys.intern(definition.entity_type),
        definition.trigger_type,
        (definition.priority, created_order, rule_id),
        zone,
        _watched(definition, stage_fields),
        found.tree,
        leaves,
        matches,
        read or (lambda: definition),
    )


def _watched(definition: RuleDefinition, stage_fields: Mapping[str, str]) -> Path | None:
    if definition.trigger_type not in (TriggerType.ON_FIELD_CHANGE, TriggerType.ON_STAGE_CHANGE):
        return None
    if definition.trigger_field is None and definition.trigger_type is TriggerType.ON_FIELD_CHANGE:
        raise RuleBroken([Problem("/triggerField", "trigger-field", {"trigger": definition.trigger_type})])
    try:
        return parse_path(definition.trigger_field or stage_field(definition.entity_type, stage_fields))
    except ValueError as error:
        raise RuleBroken([Problem("/triggerField", "path", {"text": "", "reason": str(error)})]) from error


def _matching(tree: Node | None, leaves: tuple[Leaf, ...], zone: tzinfo) -> Judge:
    bound: Bindings = {}
    numbers = {id(leaf): number for number, leaf in enumerate(leaves)}
    words = _expression(tree, lambda leaf: fragment(leaf, numbers[id(leaf)], zone, bound))
    judge: Judge = _function("matches", f"{_reads(words)}    return {words}\n", bound)
    return judge


def _observing(tree: Node | None, leaves: tuple[Leaf, ...], zone: tzinfo) -> Observe:
    """Answers (met, what condition 0 looked at, what condition 1 looked at, ...)."""
    bound: Bindings = {}
    lines, held = [], {}
    for number, leaf in enumerate(leaves):
        line, held[number] = observation(leaf, number, bound)
        lines.append(f"    {line}\n")
    numbers = {id(leaf): number for number, leaf in enumerate(leaves)}
    words = _expression(tree, lambda leaf: fragment(leaf, numbers[id(leaf)], zone, bound, held[numbers[id(leaf)]]))
    told = "".join(f", {name}" for names in held.values() for name in names)
    read = "".join(lines)
    observe: Observe = _function("observe", f"{_reads(read + words)}{read}    return ({words}{told or ','})\n", bound)
    return observe


def _expression(node: Node | None, leaf: Callable[[Leaf], str]) -> str:
    if node is None:
        return "True"
    if isinstance(node, Joined):
        return "(" + f" {_WORDS[node.word]} ".join(_expression(part, leaf) for part in node.parts) + ")"
    return leaf(node)


def _reads(source: str) -> str:
    return "".join(
        f"    {name} = change.{name}\n" for name in ("current", "earlier") if f"{name}.get" in source or f"({name})" in source
    )


def _function(name: str, body: str, bound: Bindings) -> Any:
    # Our own fragments only, see above; without builtins but some types, so that a fragment can reach nothing else.
    scope: dict[str, Any] = {"__builtins__": _BUILTINS, **bound}
    exec(_code(f"def {name}(change, now):\n{body}"), scope)  # noqa: S102 - the reason is this module's docstring
    return scope[name]


@lru_cache(maxsize=_SHAPES)
def _code(source: str) -> CodeType:
    """The source names nothing of a rule, so rules of one shape share their code, its time to compile and its memory."""
    return compile(source, "<rule>", "exec")


def _becoming(matches: Judge) -> Judge:
    def becomes_true(change: Change, now: datetime) -> bool:
        return matches(change, now) and not _was_true(matches, change, now)

    return becomes_true


def _was_true(matches: Judge, change: Change, now: datetime) -> bool:
    # Of what was before nothing is known, or there was nothing: then it was not true.
    return change.is_update and change.before is not None and matches(change.as_it_was(), now)


_WORDS = {"AND": "and", "OR": "or"}
_BUILTINS = {"type": type, "int": int, "float": float, "str": str, "bool": bool, "dict": dict}
