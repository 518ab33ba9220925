"""The same hundred rules for both: ours as definitions, zen-engine's as expressions, on an entity of 30 fields.

A third of the rules compare numbers, texts and codes; others look into lists of values, at old values, into nested fields, at
absence and at groups of AND and OR. Every rule has three conditions, and each event is met by about one rule of a hundred.
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from domain.rules.change import Change
from schemas.rules import Condition, LogicalOperator, Operator, RuleDefinition, TriggerType, ValueType

RULES = 100
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
TENANT = "t1"
_CODES = ["NEW", "CONTACTED", "QUALIFIED", "PROPOSAL", "WON", "LOST", "NURTURE", "CLOSED"]
_WORDS = ["alpha", "beta", "gamma", "delta", "omega", "sigma"]
_PLACES = ["Hanoi", "Hue", "Saigon", "Danang", "Vinh", "Dalat"]

Both = tuple[Condition, str]


def values(random_: random.Random) -> dict[str, Any]:
    """Ten numbers, eight codes, six texts, three flags, a place, a nested object, a field that is often empty."""
    found: dict[str, Any] = {
        f"amount{at}": random_.choice([random_.randint(0, 1000), random_.randint(0, 99_999) / 100]) for at in range(10)
    }
    found |= {f"code{at}": random_.choice(_CODES) for at in range(8)}
    found |= {f"text{at}": " ".join(random_.sample(_WORDS, 2)) for at in range(6)}
    found |= {f"flag{at}": random_.random() < 0.5 for at in range(3)}
    found["city"] = random_.choice(_PLACES)
    found["address"] = {"city": random_.choice(_PLACES), "floor": random_.randint(1, 40)}
    found["note"] = random_.choice([None, "called"])
    assert len(found) == 30
    return found


def change(random_: random.Random) -> Change:
    """An update that changed two fields."""
    new = values(random_)
    fresh = values(random_)
    old = {**new, **{name: fresh[name] for name in random_.sample(sorted(new), 2)}}
    # As they come from a topic: no object is shared between old and new.
    old, new = orjson.loads(orjson.dumps(old)), orjson.loads(orjson.dumps(new))
    return Change(TENANT, "LEAD", "42", "UPDATE", old, new, (), "API", (), NOW)


def hundred(seed: int = 5) -> list[tuple[RuleDefinition, str]]:
    """Each rule with its expression for zen-engine."""
    random_ = random.Random(seed)
    return [_rule(random_, number) for number in range(RULES)]


def _rule(random_: random.Random, number: int) -> tuple[RuleDefinition, str]:
    parts = [random_.choice(_KINDS)(random_) for _ in range(3)]
    form = number % 4
    conditions: tuple[Condition, ...] = tuple(part[0] for part in parts)
    one, two, three = (part[1] for part in parts)
    expression = f"{one} and {two} and {three}"
    if form == 1:
        inner = (conditions[1].model_copy(update={"logical_operator": LogicalOperator.OR}), conditions[2])
        conditions, expression = (conditions[0], Condition(group=inner)), f"{one} and ({two} or {three})"
    elif form == 2:
        first = conditions[0].model_copy(update={"logical_operator": LogicalOperator.OR})
        conditions, expression = (first, *conditions[1:]), f"({one} or {two}) and {three}"
    rule = RuleDefinition(name=f"rule {number}", trigger_type=TriggerType.ON_UPDATE, entity_type="LEAD", conditions=conditions)
    return rule, expression


def _number(random_: random.Random) -> Both:
    name, limit = f"amount{random_.randrange(10)}", random_.randint(900, 990)
    return _condition(name, Operator.GREATER_THAN, str(limit), ValueType.NUMBER), f"new.{name} > {limit}"


def _between(random_: random.Random) -> Both:
    name, low = f"amount{random_.randrange(10)}", random_.randint(0, 900)
    both = _condition(name, Operator.BETWEEN, f"[{low}, {low + 80}]", ValueType.NUMBER)
    return both, f"(new.{name} >= {low} and new.{name} <= {low + 80})"


def _code(random_: random.Random) -> Both:
    name, code = f"code{random_.randrange(8)}", random_.choice(_CODES)
    return _condition(name, Operator.EQUALS, code, ValueType.ENUM), f"new.{name} == '{code}'"


def _codes(random_: random.Random) -> Both:
    name, codes = f"code{random_.randrange(8)}", random_.sample(_CODES, 2)
    listed = ", ".join(f"'{code}'" for code in codes)
    return _condition(name, Operator.IN, list(codes), ValueType.ENUM), f"new.{name} in [{listed}]"


def _starts(random_: random.Random) -> Both:
    name, word = f"text{random_.randrange(6)}", random_.choice(_WORDS)
    return _condition(name, Operator.STARTS_WITH, word, ValueType.STRING), f"startsWith(new.{name}, '{word}')"


def _contains(random_: random.Random) -> Both:
    name, word = f"text{random_.randrange(6)}", random_.choice(_WORDS)
    return _condition(name, Operator.CONTAINS, word, ValueType.STRING), f"contains(new.{name}, '{word}')"


def _nested(random_: random.Random) -> Both:
    place = random_.choice(_PLACES)
    return _condition("address.city", Operator.EQUALS, place, ValueType.STRING), f"new.address.city == '{place}'"


def _changed(random_: random.Random) -> Both:
    name = f"code{random_.randrange(8)}"
    return _condition(name, Operator.CHANGED, None, ValueType.ENUM), f"old.{name} != new.{name}"


def _changed_to(random_: random.Random) -> Both:
    name, code = f"code{random_.randrange(8)}", random_.choice(_CODES)
    both = _condition(name, Operator.CHANGED_TO, code, ValueType.ENUM)
    return both, f"(old.{name} != new.{name} and new.{name} == '{code}')"


def _empty(random_: random.Random) -> Both:
    return _condition("note", Operator.IS_NULL, None, ValueType.STRING), "new.note == null"


def _condition(name: str, operator: Operator, value: Any, kind: ValueType) -> Condition:
    return Condition(field_name=name, operator=operator, value=value, value_type=kind)


_KINDS: list[Callable[[random.Random], Both]] = [
    _number,
    _number,
    _between,
    _code,
    _code,
    _codes,
    _starts,
    _contains,
    _nested,
    _changed,
    _changed_to,
    _empty,
]
