"""Compiled rules beside the slow evaluator: how many rules and events, and every one on which they differ."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from domain.rules.change import change_of
from domain.rules.checking import check_document
from domain.rules.compiling import compile_rule
from domain.rules.index import RuleIndex
from domain.rules.known import KnownNames
from domain.rules.problems import errors
from schemas.entities import EntityChangeEvent
from tests.unit.domain.rules import generating, reference

NOW = datetime(2026, 6, 15, 5, 0, tzinfo=UTC)
ZONES = [UTC, ZoneInfo("Asia/Ho_Chi_Minh"), ZoneInfo("America/New_York")]


@dataclass
class Difference:
    """What one rule and one event made of each other."""

    rule: dict[str, Any]
    event: dict[str, Any]
    compiled: Any
    slow: Any
    about: str


@dataclass
class Compared:
    """`fired`: of the pairs, those that matched; a comparison in which nothing matches shows nothing."""

    pairs: int = 0
    fired: int = 0
    started: int = 0
    differences: list[Difference] = field(default_factory=list)


def compare(seed: int, pairs: int, slow: Any = reference) -> Compared:
    """`pairs` random rules, each with one random event."""
    random_, result = random.Random(seed), Compared()
    for _ in range(pairs):
        _compare_one(random_, result, slow)
    return result


def _compare_one(random_: random.Random, result: Compared, slow: Any) -> None:
    rule, event, zone = generating.a_rule(random_), generating.an_event(random_), random_.choice(ZONES)
    definition, problems = check_document(rule, KnownNames(), zone)
    if definition is None or errors(problems):
        raise AssertionError(f"a generated rule is refused: {rule} {errors(problems)}")
    compiled = compile_rule("t1", "r1", 1, definition, zone=zone)
    change = change_of(
        EntityChangeEvent.model_validate(
            {
                **event,
                "eventId": "e",
                "entityId": "1",
                "tenantId": "t1",
                "timestamp": NOW,
                "changedFields": event.get("changedFields", ()),
            }
        )
    )
    trace = compiled.trace(change, NOW)
    fires, started = slow.rule_fires(rule, event, NOW, zone), slow.rule_is_started(rule, event)
    seen: list[tuple[str, Any, Any]] = [
        ("fires", compiled.matches(change, NOW), fires),
        ("trace", trace.matched, fires),
        ("started", bool(RuleIndex([compiled]).candidates("t1", change)), started),
    ]
    leaves = list(_conditions(rule["conditions"]))
    for condition, observed in zip(leaves, trace.conditions, strict=True):
        seen.append((f"condition {condition}", observed.met, slow.condition_holds(condition, event, NOW, zone)))
    result.pairs, result.fired, result.started = result.pairs + 1, result.fired + fires, result.started + started
    result.differences += [Difference(rule, event, ours, theirs, about) for about, ours, theirs in seen if ours != theirs]


def _conditions(conditions: list[dict[str, Any]]) -> Any:
    for condition in sorted(conditions, key=lambda one: one.get("conditionOrder") or 0):
        yield from _conditions(condition["group"]) if "group" in condition else [condition]
