"""Case definitions: what is one, what fits, and that every problem has its place and no value."""

from typing import Any

import pytest

from domain.onboarding.case_checking import MOST, problems_of
from domain.onboarding.case_definitions import CaseKey, read_document, released_cases
from domain.onboarding.definitions import released_flows

CANARY = "canary-577215"


def document(**schema: Any) -> dict[str, Any]:
    return {"name": "small", "version": 1, "schema": schema}


@pytest.mark.requirement("IN-1")
def test_every_released_flow_names_definitions_and_parts_that_there_are() -> None:
    for flow in released_flows().values():
        named = {move.data_schema for move in flow.transitions} - {None}
        if flow.case_definition is None:
            assert not named, flow.flow
            continue
        key = CaseKey.of(flow.case_definition)
        assert key is not None, flow.flow
        assert named <= released_cases()[key].parts, flow.flow


@pytest.mark.requirement("IN-1")
@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {"name": "small", "version": 1},
        {**document(), "more": 1},
        {**document(), "version": 0},
        {**document(), "name": "no name"},
        {**document(), "schema": True},
        document(type="objectx"),
        document(**{"$ref": "http://127.0.0.1:1/elsewhere"}),
        document(properties={"a": {"pattern": "("}}),
        document(**{"$defs": {"a": {"$ref": "#/$defs/missing"}}}),
    ],
    ids=["nothing", "no-schema", "more", "version", "name", "no-object", "type", "elsewhere", "pattern", "part"],
)
def test_what_is_no_definition_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError):
        read_document(wrong)


@pytest.mark.requirement("IN-4", "IN-11")
def test_every_problem_is_told_at_once_with_its_place_and_without_the_value() -> None:
    definition = released_cases()[CaseKey("customer", 1)]
    data = {"idNumber": CANARY, "email": CANARY, "dateOfBirth": CANARY, "address": {"street": [CANARY], "x": CANARY}}
    found = problems_of(definition, "profile", data)
    assert [(one.place, one.code) for one in found] == [
        (("address", "city"), "required"),
        (("address", "street"), "type"),
        (("address", "x"), "additionalProperties"),
        (("dateOfBirth",), "format"),
        (("email",), "format"),
        (("fullName",), "required"),
        (("idNumber",), "pattern"),
    ]
    assert CANARY not in str(found)
    with pytest.raises(KeyError):
        problems_of(definition, "nothing-like-it", {})


def test_a_body_that_is_wrong_in_very_many_places_is_told_some() -> None:
    definition = read_document(document(properties={"a": {}}, additionalProperties=False))
    assert len(problems_of(definition, None, {f"x{number}": 1 for number in range(10 * MOST)})) == MOST


def test_a_pattern_that_others_would_take_for_ever_on_takes_no_time() -> None:
    definition = read_document(document(properties={"a": {"pattern": "^(a+)+$"}}))
    assert [one.code for one in problems_of(definition, None, {"a": "a" * 50_000 + "!"})] == ["pattern"]


@pytest.mark.requirement("IN-10")
def test_every_step_of_a_customer_in_a_released_flow_has_an_expiry() -> None:
    for flow in released_flows().values():
        asked = {move.from_state for move in flow.transitions if "USER" in move.actors}
        assert [state.name for state in flow.states if state.name in asked and state.sla is None] == [], flow.flow
