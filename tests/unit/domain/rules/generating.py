"""Random rules and events that meet each other often: few fields, values in many spellings, everything that JSON can hold."""

import json
import random
from typing import Any

from domain.rules.operators import legal_types, shape_of
from schemas.rules import Operator, ValueType

Json = dict[str, Any]

PATHS = [
    "a",
    "b",
    "stage",
    "leadStatus",
    "deep.x",
    "deep.y",
    "list[0]",
    "list[-1]",
    "list[1].x",
    "['with.dot']",
    "deep['a.b']",
    "none.x",
]
NUMBERS = [0, 1, -1, 5, 50_000, 9_007_199_254_740_993, 0.1, 1.5, 50_000.5, 1e300]
TEXTS = [
    "abc",
    "ABC",
    "",
    "5",
    "Tiếng Việt",
    "TIẾNG VIỆT",
    "Tie\u0302\u0301ng Vie\u0323\u0302t",
    "straße",
    "STRASSE",
    "\u212a",
    "k",
    "true",
]
DAYS = ["2026-06-15", "2026-06-14", "2025-12-09", "2026-06-16"]
INSTANTS = [
    "2026-06-15T00:30:00Z",
    "2026-06-14T23:30:00Z",
    "2026-06-15T12:00:00+07:00",
    "2026-06-15T05:00:00Z",
    "2026-06-15T12:00:00.123Z",
]
MOMENTS = ["now", "today", "now - 24h", "today + 1d", "now + 90m", "today - 1w", "today+3h"]


def a_value(random_: random.Random) -> Any:
    """Any value that an entity's field may have."""
    kind = random_.randrange(12)
    if kind < 3:
        value = random_.choice(NUMBERS)
        return random_.choice([value, value, str(value), f"{value:.2f}" if abs(value) < 1e9 else value])
    if kind < 6:
        return random_.choice(TEXTS)
    if kind < 8:
        return random_.choice(
            [*DAYS, *INSTANTS, "2026-06-15 12:00", "2026-02-30", "2026-06-15T25:00:00Z", "0001-01-01T00:00:00+09:00"]
        )
    if kind == 8:
        return random_.choice([True, False, "true", "FALSE"])
    if kind == 9:
        return None
    return random_.choice([[], {}, ["abc", 5, None], ["ABC"], {"x": 1}, [[1]], float("inf"), float("nan"), 1.0, -0.0])


def an_entity(random_: random.Random) -> Json:
    """Some of the fields, some nested."""
    found: Json = {name: a_value(random_) for name in ("a", "b", "stage", "leadStatus", "with.dot") if random_.random() < 0.8}
    if random_.random() < 0.8:
        found["deep"] = {name: a_value(random_) for name in ("x", "y", "a.b") if random_.random() < 0.8}
    if random_.random() < 0.8:
        found["list"] = random_.choice([[a_value(random_)], [a_value(random_), {"x": a_value(random_)}], [], "no list"])
    return found


def an_event(random_: random.Random) -> Json:
    """A change as an upstream may send it: whole, or without old values, new values or changed fields."""
    change = random_.choice(["UPDATE", "UPDATE", "UPDATE", "CREATE", "DELETE"])
    new, old = an_entity(random_), an_entity(random_)
    if random_.random() < 0.7:
        old = {**new, **{name: old[name] for name in old if random_.random() < 0.3}}
    event: Json = {
        "changeType": change,
        "entityType": random_.choice(["LEAD", "OPPORTUNITY", "VISIT"]),
        "newValues": new,
        "oldValues": old,
    }
    if change == "CREATE" or random_.random() < 0.1:
        event["oldValues"] = None
    if change == "DELETE" or random_.random() < 0.05:
        event["newValues"] = None
    if random_.random() < 0.3:
        names = ["a", "b", "stage", "leadStatus", "deep", "deep.x", "list", "with.dot", "status"]
        event["changedFields"] = random_.sample(names, random_.randint(0, 4))
    # As it comes from a topic: no object is shared.
    return dict(json.loads(json.dumps(event)))


def an_expected(random_: random.Random, kind: ValueType) -> Any:
    """A value that the type can read."""
    match kind:
        case ValueType.NUMBER:
            value = random_.choice(NUMBERS)
            return random_.choice([value, str(value)])
        case ValueType.BOOLEAN:
            return random_.choice([True, False, "true", "False"])
        case ValueType.DATE:
            return random_.choice([*DAYS, *MOMENTS])
        case ValueType.DATETIME:
            return random_.choice([*INSTANTS, "2026-06-15T12:00:00", *MOMENTS])
        case _:
            return random_.choice(TEXTS)


def a_condition(random_: random.Random) -> Json:
    """One that passes the check."""
    operator = random_.choice(list(Operator))
    kind = random_.choice(sorted(legal_types(operator)))
    condition: Json = {"fieldName": random_.choice(PATHS), "operator": str(operator), "valueType": str(kind)}
    shape = shape_of(operator)
    if shape in ("one", "one or nothing"):
        condition["value"] = None if shape == "one or nothing" and random_.random() < 0.2 else an_expected(random_, kind)
    elif shape == "list":
        condition["value"] = [an_expected(random_, kind) for _ in range(random_.randint(1, 4))]
    elif shape == "range":
        condition["value"] = random_.choice(RANGES[kind])
    if shape in ("list", "range") and random_.random() < 0.5:
        condition["value"] = json.dumps(condition["value"], ensure_ascii=random_.random() < 0.5)
    if shape != "none" and random_.random() < 0.3:
        condition["nullMatches"] = True
    if shape == "one or nothing" or operator is Operator.CHANGED:
        _say_it_as_s1(random_, condition)
    return condition


def _say_it_as_s1(random_: random.Random, condition: Json) -> None:
    """By the flag and its comparison instead of by the operator."""
    if random_.random() < 0.4:
        condition["checkOldValue"], condition["oldValueComparison"] = True, condition["operator"]
        if random_.random() < 0.5:
            condition["operator"] = "EQUALS"
    elif condition["operator"] in ("WAS", "WAS_NOT") and condition.get("value") is not None and random_.random() < 0.5:
        condition["checkOldValue"] = True
        condition["operator"] = {"WAS": "EQUALS", "WAS_NOT": "NOT_EQUALS"}[condition["operator"]]


def some_conditions(random_: random.Random, depth: int = 0) -> list[Json]:
    """Up to five on one level, some of them groups."""
    found: list[Json] = []
    for _ in range(random_.randint(0 if depth == 0 else 1, 5 - depth)):
        grouped = depth < 3 and random_.random() < 0.2
        condition: Json = {"group": some_conditions(random_, depth + 1)} if grouped else a_condition(random_)
        if random_.random() < 0.8:
            condition["logicalOperator"] = random_.choice(["AND", "OR"])
        found.append(condition)
    if random_.random() < 0.2:
        for condition in found:
            condition["conditionOrder"] = random_.randint(0, 3)
    return found


def a_rule(random_: random.Random) -> Json:
    """With any trigger that an event can start."""
    trigger = random_.choice(["ON_CREATE", "ON_UPDATE", "ON_DELETE", "ON_FIELD_CHANGE", "ON_STAGE_CHANGE"])
    rule: Json = {
        "name": "generated",
        "triggerType": trigger,
        "entityType": random_.choice(["LEAD", "OPPORTUNITY", "VISIT"]),
        "conditions": some_conditions(random_),
        "actions": [],
    }
    if trigger == "ON_FIELD_CHANGE" or (trigger == "ON_STAGE_CHANGE" and random_.random() < 0.3):
        rule["triggerField"] = random_.choice(PATHS)
    if trigger not in ("ON_CREATE", "ON_DELETE") and random_.random() < 0.3:
        rule["onBecomingTrue"] = True
    return rule


RANGES: dict[ValueType, list[list[Any]]] = {
    ValueType.NUMBER: [[0, 5], [1, 1], ["-1", "50000.5"], [0.1, 9_007_199_254_740_993]],
    ValueType.DATE: [["2025-01-01", "2026-06-15"], ["today - 1w", "today"], ["today", "2030-01-01"]],
    ValueType.DATETIME: [["2026-06-14T23:30:00Z", "2026-06-15T05:00:00Z"], ["now - 24h", "now"], ["today", "now + 90m"]],
}
