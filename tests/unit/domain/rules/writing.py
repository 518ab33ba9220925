"""Rules, changes and verdicts in a line each."""

from datetime import UTC, datetime, tzinfo
from typing import Any

from domain.rules.change import Change
from domain.rules.checking import check_document
from domain.rules.compiling import CompiledRule, compile_rule
from domain.rules.known import KnownNames
from domain.rules.problems import Problem

NOW = datetime(2026, 6, 15, 5, 0, tzinfo=UTC)
Json = dict[str, Any]


def a_condition(field: str, operator: str, value: Any = None, kind: str | None = None, **more: Any) -> Json:
    given = {"fieldName": field, "operator": operator, "value": value, "valueType": kind, **more}
    return {name: item for name, item in given.items() if item is not None}


def a_rule(*conditions: Json, trigger: str = "ON_UPDATE", **more: Any) -> Json:
    action = {"actionType": "ADD_TAG", "configuration": {"tag": "seen"}}
    return {
        "name": "a rule",
        "triggerType": trigger,
        "entityType": "LEAD",
        "conditions": list(conditions),
        "actions": [action],
        **more,
    }


def compiled(rule: Json, *, zone: tzinfo = UTC, rule_id: str = "r1", age: int = 0) -> CompiledRule:
    """The rule, which must be without errors."""
    definition, problems = check_document(rule, KnownNames(), zone)
    assert definition is not None, problems
    return compile_rule("t1", rule_id, 1, definition, zone=zone, created_order=age)


def updated(new: Json | None, old: Json | None = None, *changed: str, entity_type: str = "LEAD") -> Change:
    return Change("t1", entity_type, "42", "UPDATE", old, new, changed, "API", (), NOW)


def created(new: Json | None, entity_type: str = "LEAD") -> Change:
    return Change("t1", entity_type, "42", "CREATE", None, new, (), "API", (), NOW)


def deleted(old: Json | None, entity_type: str = "LEAD") -> Change:
    return Change("t1", entity_type, "42", "DELETE", old, None, (), "API", (), NOW)


def holds(change: Change, *conditions: Json, zone: tzinfo = UTC, **more: Any) -> bool:
    """Whether a rule of these conditions fires; its trace says the same."""
    rule = compiled(a_rule(*conditions, **more), zone=zone)
    fires = rule.matches(change, NOW)
    assert rule.trace(change, NOW).matched is fires
    return fires


def problems_of(rule: Json, known: KnownNames | None = None) -> list[Problem]:
    return check_document(rule, known or KnownNames())[1]


def codes_of(rule: Json, known: KnownNames | None = None) -> dict[str, str]:
    """Pointer -> code."""
    return {problem.pointer: problem.code for problem in problems_of(rule, known)}
