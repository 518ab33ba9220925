"""Which rules an event starts, and in what order."""

import random

import pytest

from domain.rules.compiling import CompiledRule
from domain.rules.index import RuleIndex
from tests.unit.domain.rules.writing import a_condition, a_rule, compiled, created, deleted, updated


def ids(index: RuleIndex, change: object) -> list[str]:
    return [rule.rule_id for rule, _ in index.candidates("t1", change)]  # type: ignore[arg-type]


def rules(*given: dict[str, object]) -> RuleIndex:
    return RuleIndex(compiled(rule, rule_id=f"r{at}", age=at) for at, rule in enumerate(given))


@pytest.mark.requirement("RU-2", "trap-4")
def test_one_update_starts_rules_of_three_triggers() -> None:
    index = rules(
        a_rule(trigger="ON_UPDATE"),
        a_rule(trigger="ON_FIELD_CHANGE", triggerField="score"),
        a_rule(trigger="ON_STAGE_CHANGE"),
        a_rule(trigger="ON_CREATE"),
        a_rule(trigger="ON_DELETE"),
        a_rule(trigger="SCHEDULED", cronExpression="0 8 * * *"),
        a_rule(trigger="ON_DATE_FIELD", dateField="birthday"),
    )
    change = updated({"score": 2, "leadStatus": "NEW", "x": 1}, {"score": 1, "leadStatus": "OLD", "x": 1})
    assert [trigger for _, trigger in index.candidates("t1", change)] == ["ON_UPDATE", "ON_FIELD_CHANGE", "ON_STAGE_CHANGE"]
    assert ids(index, updated({"x": 2}, {"x": 1})) == ["r0"]
    assert ids(index, created({"score": 1})) == ["r3"]
    assert ids(index, deleted({"score": 1})) == ["r4"]
    assert index.candidates("t2", change) == ()


@pytest.mark.requirement("RU-1", "RU-2", "trap-5")
def test_each_entity_type_has_its_stage_field_and_a_rule_may_name_another() -> None:
    for entity_type, field in (("LEAD", "leadStatus"), ("OPPORTUNITY", "stage"), ("ACTIVITY", "status"), ("VISIT", "status")):
        index = rules(a_rule(trigger="ON_STAGE_CHANGE", entityType=entity_type))
        assert ids(index, updated({field: "B"}, {field: "A"}, entity_type=entity_type)) == ["r0"]
        assert ids(index, updated({"other": "B"}, {"other": "A"}, entity_type=entity_type)) == []
    index = rules(a_rule(trigger="ON_STAGE_CHANGE", triggerField="phase"))
    assert ids(index, updated({"phase": 2}, {"phase": 1})) == ["r0"]


@pytest.mark.requirement("RU-13", "trap-4")
def test_changed_fields_are_believed_where_given_and_derived_where_not() -> None:
    index = rules(
        a_rule(trigger="ON_FIELD_CHANGE", triggerField="score"), a_rule(trigger="ON_FIELD_CHANGE", triggerField="address.city")
    )
    assert ids(index, updated({"score": 1}, None, "score")) == ["r0"]
    assert ids(index, updated({"score": 1}, None)) == []
    assert ids(index, updated({"score": 1.0}, {"score": 1})) == []
    moved = {"address": {"city": "Hue", "floor": 1}}
    assert ids(index, updated(moved, {"address": {"city": "Vinh", "floor": 1}}, "address")) == ["r1"]
    assert ids(index, updated(moved, {"address": {"city": "Hue", "floor": 2}}, "address")) == []
    assert ids(index, updated(moved, None, "address.city")) == ["r1"]


@pytest.mark.requirement("RU-7", "trap-41")
def test_equal_priorities_run_by_age_and_then_by_id_whatever_the_order_of_arrival() -> None:
    watching = {"trigger": "ON_FIELD_CHANGE", "triggerField": "score"}
    given: list[CompiledRule] = [
        compiled(a_rule(priority=5, **watching), rule_id="late", age=9),
        compiled(a_rule(priority=5), rule_id="b", age=1),
        compiled(a_rule(priority=5), rule_id="a", age=1),
        compiled(a_rule(priority=1), rule_id="first", age=50),
        compiled(a_rule(priority=None), rule_id="default", age=0),
    ]
    change = updated({"score": 2}, {"score": 1})
    for seed in range(10):
        shuffled = random.Random(seed).sample(given, len(given))
        assert ids(RuleIndex(shuffled), change) == ["first", "a", "b", "late", "default"]


@pytest.mark.requirement("RU-7", "trap-39")
def test_an_edit_takes_the_place_of_the_older_version() -> None:
    index = rules(a_rule(trigger="ON_UPDATE"), a_rule(trigger="ON_UPDATE"))
    index.add(compiled(a_rule(a_condition("a", "IS_NULL"), trigger="ON_CREATE"), rule_id="r0"))
    assert (ids(index, updated({})), ids(index, created({})), len(index)) == (["r1"], ["r0"], 2)
    index.remove("t1", "r0")
    index.remove("t1", "r0")
    assert (ids(index, created({})), len(index)) == ([], 1)
