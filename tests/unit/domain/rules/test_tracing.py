"""Why a rule fired or not: the trace of every condition, hidden where it must be, and told in two languages."""

import json
from zoneinfo import ZoneInfo

import pytest

from domain.fields.paths import MISSING
from domain.fields.sensitive import HIDDEN
from domain.rules.explaining import WORDS, explain
from tests.unit.domain.rules.writing import NOW, a_condition, a_rule, compiled, created, updated

CONDITIONS = (
    a_condition("stage", "EQUALS", "PROPOSAL", "ENUM", logicalOperator="OR"),
    {"group": [a_condition("value", "GREATER_THAN", "50000", "NUMBER"), a_condition("owner", "CHANGED")]},
)


@pytest.mark.requirement("RU-6", "trap-40")
def test_a_trace_tells_what_every_condition_saw_and_whether_it_counted() -> None:
    change = updated({"stage": "NEW", "value": "a lot", "owner": "b"}, {"owner": "a"})
    trace = compiled(a_rule(*CONDITIONS)).trace(change, NOW)
    assert not trace.matched
    told = [(item.leaf.path.text, item.seen, item.met, item.decided, item.why) for item in trace.conditions]
    assert told == [
        ("stage", "NEW", False, True, "not-met"),
        ("value", "a lot", False, True, "unfit"),
        ("owner", ("a", "b"), True, False, "met"),
    ]


def test_a_trace_is_json_and_hides_what_its_reader_may_not_see() -> None:
    change = updated({"stage": "PROPOSAL", "value": None, "owner": "b"}, {"owner": "a"})
    trace = compiled(a_rule(*CONDITIONS)).trace(change, NOW)
    told = trace.as_json(lambda path: path.field in ("owner", "stage"))
    assert json.loads(json.dumps(told)) == told
    assert told["matched"] is True
    stage, value, owner = told["conditions"]
    assert (stage["saw"], stage["expected"], stage["met"]) == (HIDDEN, HIDDEN, True)
    assert (value["saw"], value["expected"], value["why"], value["pointer"]) == (None, "50000", "null", "/conditions/1/group/0")
    assert (owner["old"], owner["new"]) == (HIDDEN, HIDDEN)


def test_what_is_hidden_is_hidden_in_words_too() -> None:
    change = updated({"stage": "canary-71f3"}, {})
    trace = compiled(a_rule(a_condition("stage", "EQUALS", "canary-88aa"))).trace(change, NOW)
    assert "canary" in "\n".join(explain(trace))
    hidden = explain(trace, hides=lambda path: True)
    assert "canary" not in "\n".join(hidden)


@pytest.mark.parametrize("language", ["vi", "en"])
def test_an_explanation_has_the_verdict_the_joining_and_a_line_for_each_condition(language: str) -> None:
    rule = compiled(a_rule(*CONDITIONS))
    lines = explain(rule.trace(created({"value": 60000}), NOW), language)  # type: ignore[arg-type]
    words = WORDS[language]  # type: ignore[index]
    assert lines[0] == words["did-not-fire"]
    assert len(lines) == 2 + 3
    assert lines[3].startswith(words["met"] + ": value > 50000")
    assert words["no-update"] in lines[4]
    assert WORDS["vi"].keys() == WORDS["en"].keys()


def test_an_update_that_does_not_tell_old_values_says_so() -> None:
    rule = compiled(a_rule(a_condition("a", "WAS", "x"), a_condition("b", "CHANGED")))
    conditions = rule.trace(updated({"a": "y", "b": 1}, None, "b"), NOW).conditions
    assert [(item.why, item.met) for item in conditions] == [("no-before", False), ("met", True)]
    assert conditions[1].seen == (MISSING, 1)


def test_days_are_told_as_the_rules_zone_has_them() -> None:
    rule = compiled(a_rule(a_condition("day", "EQUALS", "today", "DATE")), zone=ZoneInfo("Asia/Ho_Chi_Minh"))
    trace = rule.trace(updated({"day": "2026-06-14T17:00:00Z"}), NOW)
    assert trace.matched
    assert trace.as_json()["conditions"][0]["expected"] == "today"
