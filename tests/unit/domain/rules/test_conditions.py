"""What conditions mean, trap by trap: each test fails on the documents' own evaluator."""

import copy
from datetime import UTC
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from domain.rules.conditions import read_conditions
from domain.rules.showing import shown
from schemas.rules import RuleDefinition
from tests.unit.domain.rules.writing import (
    NOW,
    a_condition,
    a_rule,
    codes_of,
    compiled,
    created,
    deleted,
    holds,
    updated,
)

SAIGON = ZoneInfo("Asia/Ho_Chi_Minh")


@pytest.mark.requirement("RU-3", "trap-11")
def test_should_evaluate_greater_than_condition() -> None:
    """The document's first test (10.2)."""
    condition = a_condition("estimatedValue", "GREATER_THAN", "50000", "NUMBER")
    assert holds(created({"estimatedValue": Decimal(75_000)}), condition)
    assert holds(created({"estimatedValue": 75000}), condition)
    assert not holds(created({"estimatedValue": 50000.00}), condition)


# -- joining


@pytest.mark.requirement("RU-6", "trap-7")
def test_conditions_join_from_left_to_right_and_show_their_parentheses() -> None:
    chain = (
        a_condition("a", "EQUALS", "1", logicalOperator="OR"),
        a_condition("b", "EQUALS", "1", logicalOperator="AND"),
        a_condition("c", "EQUALS", "1"),
    )
    rule = compiled(a_rule(*chain))
    assert shown(rule.tree) == '(a = "1" OR b = "1") AND c = "1"'
    assert not holds(updated({"a": "1"}), *chain)
    assert holds(updated({"a": "1", "c": "1"}), *chain)


@pytest.mark.requirement("RU-6", "trap-9")
def test_a_group_binds_first() -> None:
    grouped = {"group": [a_condition("b", "EQUALS", "1", logicalOperator="AND"), a_condition("c", "EQUALS", "1")]}
    chain = (a_condition("a", "EQUALS", "1", logicalOperator="OR"), grouped)
    assert holds(updated({"a": "1"}), *chain)
    assert not holds(updated({"b": "1"}), *chain)
    assert shown(compiled(a_rule(*chain)).tree) == 'a = "1" OR (b = "1" AND c = "1")'


@pytest.mark.requirement("RU-6", "trap-7")
def test_mixed_joining_without_a_group_is_a_warning_that_shows_what_it_means() -> None:
    chain = (
        a_condition("a", "IS_NULL", logicalOperator="OR"),
        a_condition("b", "IS_NULL", logicalOperator="AND"),
        a_condition("c", "IS_NULL"),
    )
    assert codes_of(a_rule(*chain)) == {"/conditions": "mixed-joining"}
    assert codes_of(a_rule(chain[0], {"group": list(chain[1:])})) == {}


@pytest.mark.requirement("RU-6", "trap-8")
def test_a_condition_whose_predecessor_says_nothing_is_joined_by_and() -> None:
    chain = (a_condition("a", "EQUALS", "1"), a_condition("b", "EQUALS", "1"))
    assert not holds(updated({"a": "1", "b": "2"}), *chain)
    assert holds(updated({"a": "1", "b": "1"}), *chain)


@pytest.mark.requirement("trap-10")
def test_a_later_condition_that_does_not_fit_the_value_cannot_fail_the_rule() -> None:
    chain = (a_condition("a", "EQUALS", "1", logicalOperator="OR"), a_condition("b", "GREATER_THAN", 5, "NUMBER"))
    assert holds(updated({"a": "1", "b": {"not": "a number"}}), *chain)
    assert not holds(updated({"a": "2", "b": "many"}), *chain)


@pytest.mark.requirement("RU-6", "trap-11")
def test_conditions_are_put_in_order_without_touching_what_was_given() -> None:
    conditions = (a_condition("b", "IS_NULL", conditionOrder=2), a_condition("a", "IS_NULL", conditionOrder=1))
    definition = RuleDefinition.model_validate(a_rule(*conditions))
    before = copy.deepcopy(definition)
    assert shown(read_conditions(definition, UTC).tree) == "a is null AND b is null"
    assert definition == before


def test_no_conditions_always_match() -> None:
    assert holds(updated({}))


@pytest.mark.requirement("RU-6")
def test_a_hundred_conditions_that_change_their_word_compile() -> None:
    chain = [a_condition(f"f{at}", "IS_NULL", logicalOperator="AND" if at % 2 else "OR") for at in range(100)]
    assert holds(updated({}), *chain)


# -- types


@pytest.mark.requirement("RU-5", "trap-12")
def test_a_value_type_left_out_is_string() -> None:
    assert holds(updated({"a": "x"}), a_condition("a", "EQUALS", "x"))
    assert holds(updated({"a": 5.0}), a_condition("a", "EQUALS", "5", "number"))
    assert codes_of(a_rule(a_condition("a", "GREATER_THAN", "5"))) == {"/conditions/0/valueType": "operator-type"}


@pytest.mark.requirement("RU-5", "trap-12", "trap-22")
@pytest.mark.parametrize("value", ["[1, 2.50]", [1, 2.5], ["1", "2.5"]])
def test_lists_of_numbers_are_read_once_and_compared_by_value(value: object) -> None:
    condition = a_condition("a", "IN", value, "NUMBER")
    assert holds(updated({"a": 2.5}), condition)
    assert holds(updated({"a": "1.00"}), condition)
    assert not holds(updated({"a": 3}), condition)


@pytest.mark.requirement("trap-22")
def test_list_values_keep_commas_brackets_and_blanks() -> None:
    condition = a_condition("a", "IN", '["x, y", "[z]", " pad "]')
    assert all(holds(updated({"a": value}), condition) for value in ("x, y", "[z]", " pad "))
    assert not any(holds(updated({"a": value}), condition) for value in ("x", "y", "z", "pad"))
    assert codes_of(a_rule(a_condition("a", "IN", "[x, y]"))) == {"/conditions/0/value": "value-list"}


@pytest.mark.requirement("RU-5", "trap-13", "trap-38")
def test_dates_and_instants_compare_with_their_zone() -> None:
    late = a_condition("at", "GREATER_THAN", "2025-12-09T10:00:00+07:00", "DATETIME")
    assert holds(updated({"at": "2025-12-09T03:21:45.123Z"}), late)
    assert not holds(updated({"at": "2025-12-09T09:59:59+07:00"}), late)
    # Without a zone it is the rule's own.
    assert holds(updated({"at": "2025-12-09T10:30:00"}), late, zone=SAIGON)
    on_day = a_condition("at", "EQUALS", "2025-12-09", "DATE")
    assert holds(updated({"at": "2025-12-08T23:30:00Z"}), on_day, zone=SAIGON)
    assert not holds(updated({"at": "2025-12-08T23:30:00Z"}), on_day)
    assert not holds(updated({"at": "2025-02-30"}), on_day)


@pytest.mark.requirement("RU-5", "trap-14")
def test_equality_is_by_type_and_not_by_text() -> None:
    number = a_condition("a", "EQUALS", "50000.00", "NUMBER")
    assert all(holds(updated({"a": value}), number) for value in (50000, 50000.0, "50000", "5E4"))
    assert not any(holds(updated({"a": value}), number) for value in (True, "fifty", None, [50000]))
    yes = a_condition("a", "EQUALS", "true", "BOOLEAN")
    assert holds(updated({"a": True}), yes)
    assert holds(updated({"a": "True"}), yes)
    assert not holds(updated({"a": 1}), yes)
    assert holds(updated({"a": True}), a_condition("a", "EQUALS", "true"))


@pytest.mark.requirement("RU-5", "trap-14")
def test_numbers_that_no_float_holds_stay_apart() -> None:
    condition = a_condition("a", "EQUALS", "9007199254740993", "NUMBER")
    assert holds(updated({"a": 9007199254740993}), condition)
    assert not holds(updated({"a": 9007199254740992}), condition)
    assert not holds(updated({"a": 9007199254740992.0}), condition)
    assert holds(updated({"a": 0.1}), a_condition("a", "EQUALS", "0.1", "NUMBER"))


@pytest.mark.requirement("RU-3", "trap-15")
def test_vietnamese_text_is_found_in_either_normal_form_and_case() -> None:
    decomposed = "Tie\u0302\u0301ng Vie\u0323\u0302t"
    assert holds(updated({"a": decomposed}), a_condition("a", "EQUALS", "Tiếng Việt"))
    for operator, part in (("CONTAINS", "G VIỆ"), ("STARTS_WITH", "TIẾNG"), ("ENDS_WITH", "việt")):
        assert holds(updated({"a": decomposed}), a_condition("a", operator, part))
    assert holds(updated({"a": "STRASSE"}), a_condition("a", "CONTAINS", "straße"))
    # EQUALS minds the case, as S1.
    assert not holds(updated({"a": "tiếng việt"}), a_condition("a", "EQUALS", "Tiếng Việt"))


@pytest.mark.requirement("RU-3", "trap-16")
@pytest.mark.parametrize("operator", ["NOT_EQUALS", "NOT_CONTAINS", "NOT_IN"])
def test_a_missing_value_meets_nothing_unless_the_condition_says_so(operator: str) -> None:
    value = ["x"] if operator == "NOT_IN" else "x"
    for values in ({}, {"a": None}):
        assert not holds(updated(values), a_condition("a", operator, value))
        assert holds(updated(values), a_condition("a", operator, value, nullMatches=True))
    assert holds(updated({"a": "y"}), a_condition("a", operator, value))


@pytest.mark.requirement("trap-16")
def test_a_trace_tells_missing_from_null() -> None:
    rule = compiled(a_rule(a_condition("a", "EQUALS", "x"), a_condition("b", "EQUALS", "x")))
    trace = rule.trace(updated({"b": None}), NOW)
    assert [item.why for item in trace.conditions] == ["missing", "null"]


@pytest.mark.requirement("trap-17")
def test_equals_nothing_is_refused_and_says_so() -> None:
    assert codes_of(a_rule(a_condition("a", "EQUALS"))) == {"/conditions/0/value": "value-missing"}


@pytest.mark.requirement("RU-3", "trap-18")
def test_between_takes_both_ends_in() -> None:
    condition = a_condition("a", "BETWEEN", "[1, 10]", "NUMBER")
    assert [holds(updated({"a": value}), condition) for value in (0.99, 1, 5, 10, 10.01)] == [False, True, True, True, False]
    for value in ("[10, 1]", "[1]", "[1, 2, 3]", "1"):
        assert codes_of(a_rule(a_condition("a", "BETWEEN", value, "NUMBER"))) == {"/conditions/0/value": "value-range"}


# -- change


@pytest.mark.requirement("RU-4", "trap-18", "trap-20")
def test_flag_and_operator_are_two_ways_to_say_the_same_change() -> None:
    change = updated({"stage": "WON"}, {"stage": "PROPOSAL"})
    ways = [
        a_condition("stage", "CHANGED_TO", "WON", "ENUM"),
        a_condition("stage", "EQUALS", "WON", "ENUM", checkOldValue=True, oldValueComparison="CHANGED_TO"),
        {"fieldName": "stage", "value": "WON", "valueType": "ENUM", "checkOldValue": True, "oldValueComparison": "CHANGED_TO"},
        a_condition("stage", "CHANGED_TO", "WON", "ENUM", checkOldValue=True),
    ]
    assert len({shown(compiled(a_rule(way)).tree) for way in ways}) == 1
    assert all(holds(change, way) for way in ways)
    assert codes_of(a_rule(a_condition("stage", "IN", ["x"], checkOldValue=True))) == {
        "/conditions/0/oldValueComparison": "old-comparison"
    }


@pytest.mark.requirement("RU-4", "trap-19")
def test_a_change_is_a_change_of_value_and_not_of_spelling() -> None:
    changed = a_condition("a", "CHANGED", None, "NUMBER")
    assert not holds(updated({"a": 1.0}, {"a": 1}), changed)
    assert not holds(updated({"a": "5.0"}, {"a": 5}), changed)
    assert holds(updated({"a": 6}, {"a": 5}), changed)
    assert holds(updated({"a": 5}, {"a": 4}), a_condition("a", "CHANGED_TO", "5.00", "NUMBER"))
    day = a_condition("a", "CHANGED_FROM", "2025-12-09", "DATE")
    assert holds(updated({"a": None}, {"a": "2025-12-09T10:00:00Z"}), day)


@pytest.mark.requirement("RU-4", "trap-21")
def test_a_creation_changes_nothing_and_was_nothing() -> None:
    for operator in ("CHANGED", "CHANGED_TO", "CHANGED_FROM", "WAS", "WAS_NOT"):
        value = None if operator == "CHANGED" else "x"
        assert not holds(created({"a": "x"}), a_condition("a", operator, value), trigger="ON_CREATE")
    assert holds(created({"a": "x"}), a_condition("a", "WAS_NOT", "x", nullMatches=True), trigger="ON_CREATE")
    assert holds(created({"a": "x"}), a_condition("a", "WAS"), trigger="ON_CREATE")


@pytest.mark.requirement("RU-4", "trap-21")
def test_a_deletion_is_judged_by_its_old_values() -> None:
    gone = deleted({"a": "x"})
    assert holds(gone, a_condition("a", "EQUALS", "x"), trigger="ON_DELETE")
    assert holds(gone, a_condition("a", "WAS", "x"), trigger="ON_DELETE")
    assert not holds(gone, a_condition("a", "WAS_NOT", "x"), trigger="ON_DELETE")
    assert not holds(gone, a_condition("a", "CHANGED"), trigger="ON_DELETE")
    assert codes_of(a_rule(a_condition("a", "CHANGED"), trigger="ON_DELETE")) == {"/conditions/0": "never-true"}


@pytest.mark.requirement("RU-4")
def test_an_update_without_old_values_tells_only_the_names_of_what_changed() -> None:
    change = updated({"a": "x", "b": "y"}, None, "a")
    assert holds(change, a_condition("a", "CHANGED"))
    assert holds(change, a_condition("a", "CHANGED_TO", "x"))
    assert not holds(change, a_condition("b", "CHANGED"))
    assert not holds(change, a_condition("a", "WAS_NOT", "x"))


@pytest.mark.requirement("RU-4")
def test_on_becoming_true_fires_only_when_the_old_values_did_not_meet_the_conditions() -> None:
    big = a_condition("value", "GREATER_THAN", "50000", "NUMBER")
    assert holds(updated({"value": 60000}, {"value": 10}), big, onBecomingTrue=True)
    assert not holds(updated({"value": 60000}, {"value": 55000}), big, onBecomingTrue=True)
    assert not holds(updated({"value": 10}, {"value": 60000}), big, onBecomingTrue=True)
    rule = compiled(a_rule(big, onBecomingTrue=True))
    assert rule.trace(updated({"value": 60000}, {"value": 55000}), NOW).held_before


# -- paths and moments


@pytest.mark.requirement("RU-6", "trap-23")
def test_paths_reach_lists_and_names_with_dots() -> None:
    values = {"lines": [{"sku": "a"}, {"sku": "b"}], "with.dot": {"x": "y"}, "deep": {"b": {"c": "z"}}}
    for path, value in (("lines[1].sku", "b"), ("lines[-2].sku", "a"), ("['with.dot'].x", "y"), ("deep.b.c", "z")):
        assert holds(updated(values), a_condition(path, "EQUALS", value))
    assert not holds(updated(values), a_condition("lines[2].sku", "IS_NOT_NULL"))
    assert codes_of(a_rule(a_condition("a..b", "IS_NULL"))) == {"/conditions/0/fieldName": "path"}


@pytest.mark.requirement("RU-15", "trap-24")
def test_overdue_by_more_than_a_day_can_be_written() -> None:
    overdue = a_condition("dueDate", "LESS_THAN", "now - 24h", "DATETIME")
    assert holds(updated({"dueDate": "2026-06-14T04:59:59Z"}), overdue)
    assert not holds(updated({"dueDate": "2026-06-14T05:00:00Z"}), overdue)
    this_week = a_condition("day", "BETWEEN", ["today - 1w", "today"], "DATE")
    assert holds(updated({"day": "2026-06-08"}), this_week, zone=SAIGON)
    assert not holds(updated({"day": "2026-06-07"}), this_week, zone=SAIGON)


@pytest.mark.requirement("RU-3")
def test_a_list_contains_what_one_of_its_elements_is() -> None:
    tags = a_condition("tags", "CONTAINS", "VIP")
    assert holds(updated({"tags": ["new", "vip"]}), tags)
    assert not holds(updated({"tags": ["vip-2"]}), tags)
    assert holds(updated({"tags": "old vip customer"}), tags)
