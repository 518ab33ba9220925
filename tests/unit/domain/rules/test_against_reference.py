"""Compiled rules decide as a slow evaluator does that was written from the documents and shares no code with them.

The full count is tests/torture/rules/test_against_reference.py.
"""

import types

import pytest

from tests.unit.domain.rules import reference
from tests.unit.domain.rules.differing import compare


@pytest.mark.requirement("RU-3", "RU-4", "RU-5", "RU-6")
def test_compiled_rules_and_the_slow_evaluator_agree() -> None:
    found = compare(seed=20261201, pairs=3_000)
    assert found.differences == []
    assert found.fired > 500
    assert found.started > 100


def test_an_evaluator_that_binds_and_tighter_is_noticed() -> None:
    """Negative control: the comparison can fail, here on the order of joining (trap 7)."""

    def and_first(conditions: list[dict[str, object]], *more: object) -> bool:
        terms: list[bool] = []
        word = "OR"
        for condition in sorted(conditions, key=lambda one: one.get("conditionOrder") or 0):  # type: ignore[arg-type,return-value]
            group = condition.get("group")
            holds = and_first(group, *more) if group is not None else reference.condition_holds(condition, *more)  # type: ignore[arg-type]
            if word == "OR" or not terms:
                terms.append(holds)
            else:
                terms[-1] = terms[-1] and holds
            word = str(condition.get("logicalOperator") or "AND")
        return not terms or any(terms)

    wrong = types.SimpleNamespace(**{**vars(reference), "rule_fires": lambda rule, *more: and_first(rule["conditions"], *more)})
    assert compare(seed=1, pairs=1_000, slow=wrong).differences


def test_an_evaluator_that_compares_numbers_as_text_is_noticed() -> None:
    """Negative control: the documents' own way, in which 50000 is not 50000.00 (trap 14)."""

    def as_text(condition: dict[str, object], event: dict[str, object], now: object, zone: object) -> bool:
        if (
            condition.get("operator") == "EQUALS"
            and condition.get("valueType") == "NUMBER"
            and not condition.get("checkOldValue")
        ):
            values = event["oldValues" if event["changeType"] == "DELETE" else "newValues"]
            return str(reference.look_up(values, str(condition["fieldName"]))) == str(condition["value"])  # type: ignore[arg-type]
        return reference.condition_holds(condition, event, now, zone)  # type: ignore[arg-type]

    wrong = types.SimpleNamespace(**{**vars(reference), "condition_holds": as_text})
    assert compare(seed=1, pairs=2_000, slow=wrong).differences
