"""Which rules can start which: by TRIGGER_WORKFLOW, and by what they write to the entity. Pure.

An edge by writing is possible, not certain: the other rule watches the field, or any update, of the same entity type, and
whether its conditions hold is seen only then. A circle is no mistake as such; the loop guard ends it, and says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from domain.fields.paths import PathRefused, parse_path
from domain.rules.change import stage_field
from schemas.rule_actions import TriggerWorkflow, UpdateField, configuration_of
from schemas.rules import ActionSpec, ActionType, Condition, RuleDefinition, TriggerType

Way = Literal["triggers", "writes"]


@dataclass(frozen=True, slots=True)
class Edge:
    """One rule can start another. `field`: what it writes."""

    source: str
    target: str
    way: Way
    field: str | None = None


def edges_of(rules: Mapping[str, RuleDefinition]) -> list[Edge]:
    """Every edge between these rules, by id."""
    return sorted(
        {edge for source, rule in rules.items() for action in rule.actions for edge in _edges(source, rule, action, rules)},
        key=lambda edge: (edge.source, edge.target, edge.way, edge.field or ""),
    )


def circles_through(rule_id: str, edges: Sequence[Edge]) -> bool:
    """Whether the rule can come back to itself."""
    following: dict[str, set[str]] = {}
    for edge in edges:
        following.setdefault(edge.source, set()).add(edge.target)
    reached, pending = set[str](), [rule_id]
    while pending:
        for target in following.get(pending.pop(), ()):
            if target == rule_id:
                return True
            if target not in reached:
                reached.add(target)
                pending.append(target)
    return False


def as_mermaid(rules: Mapping[str, RuleDefinition], edges: Iterable[Edge]) -> str:
    """The graph for people."""
    numbers = {rule_id: f"r{number}" for number, rule_id in enumerate(rules)}
    lines = ["flowchart LR"]
    lines += [f'    {numbers[rule_id]}["{_quiet(rule.name)}"]' for rule_id, rule in rules.items()]
    for edge in edges:
        arrow = "-->" if edge.way == "triggers" else f"-. {_quiet(edge.field or '')} .->"
        lines.append(f"    {numbers[edge.source]} {arrow} {numbers[edge.target]}")
    return "\n".join(lines) + "\n"


def _edges(source: str, rule: RuleDefinition, action: ActionSpec, rules: Mapping[str, RuleDefinition]) -> Iterable[Edge]:
    told = configuration_of(action)
    if isinstance(told, TriggerWorkflow):
        if told.rule_id in rules:
            yield Edge(source, told.rule_id, "triggers")
        return
    field = told.field_name if isinstance(told, UpdateField) else _written_field(rule, action)
    if field is not None:
        for target, other in rules.items():
            if other.entity_type == rule.entity_type and _watches(other, field) and _may_become_true(other, field):
                yield Edge(source, target, "writes", field)


def _written_field(rule: RuleDefinition, action: ActionSpec) -> str | None:
    if action.action_type in (ActionType.CHANGE_STAGE, ActionType.CHANGE_STATUS):
        return stage_field(rule.entity_type)
    return _FIELDS.get(action.action_type)


def _watches(rule: RuleDefinition, field: str) -> bool:
    if rule.trigger_type is TriggerType.ON_UPDATE:
        return True
    if rule.trigger_type is TriggerType.ON_FIELD_CHANGE:
        return rule.trigger_field == field
    return rule.trigger_type is TriggerType.ON_STAGE_CHANGE and field == (rule.trigger_field or stage_field(rule.entity_type))


def _may_become_true(rule: RuleDefinition, field: str) -> bool:
    """With `onBecomingTrue` a change of a field that no condition looks at cannot make the conditions true."""
    return not rule.on_becoming_true or any(_looks_at(condition, field) for condition in rule.conditions)


def _looks_at(condition: Condition, field: str) -> bool:
    if condition.group is not None:
        return any(_looks_at(one, field) for one in condition.group)
    try:
        return parse_path(condition.field_name or "").touches(field)
    except PathRefused:
        return True


def _quiet(text: str) -> str:
    """Without what would end a label."""
    return text.replace('"', "'").replace("\n", " ")[:100]


_FIELDS = {ActionType.ASSIGN_TO: "assignedTo", ActionType.ADD_TAG: "tags", ActionType.REMOVE_TAG: "tags"}
