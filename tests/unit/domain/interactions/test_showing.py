"""What of a case a front end sees: what its definition describes, masked where it says so, and nothing else."""

from typing import Any

import pytest

from domain.interactions.interaction import Tag, read_tag
from domain.interactions.showing import snapshot, visible_names
from domain.onboarding.case_definitions import CaseKey, released_cases

SCHEMA: dict[str, Any] = {
    "properties": {
        "name": {"type": "string"},
        "cvv": {"writeOnly": True},
        "idNumber": {"x-sensitivity": "mask"},
        "born": {"x-sensitivity": "encrypt"},
        "home": {"properties": {"street": {"x-sensitivity": "mask"}, "city": {"$ref": "#/$defs/city"}}},
        "cards": {"items": {"properties": {"last": {}, "pin": {"writeOnly": True}}}},
        "round": {"$ref": "#/$defs/round"},
        "free": {},
        "gone": {"$ref": "#/$defs/nothing"},
    },
    "$defs": {"city": {"type": "string"}, "round": {"$ref": "#/$defs/round"}},
}


@pytest.mark.requirement("IN-11")
@pytest.mark.parametrize(
    ("known", "shown"),
    [
        ({"name": "Ann", "score": 7}, {"name": "Ann"}),
        ({"cvv": "123", "idNumber": "012345678901", "born": "2001-01-01"}, {"idNumber": "****8901", "born": "****"}),
        ({"idNumber": {"nested": "x" * 20}}, {"idNumber": "****"}),
        ({"home": {"street": "1 Long Street", "city": "Huế", "gps": 1}}, {"home": {"street": "****reet", "city": "Huế"}}),
        ({"cards": [{"last": 1, "pin": 2}, {"x": 1}]}, {"cards": [{"last": 1}, {}]}),
        ({"round": 1, "gone": 1, "free": {"inner": 1}}, {}),
        ({"free": [1], "name": ["a"]}, {}),
        ({"free": None, "name": 5}, {"free": None, "name": 5}),
    ],
    ids=["undeclared", "sensitive", "nested", "object", "list", "unfollowed", "unsaid", "plain"],
)
def test_only_what_is_described_is_shown(known: dict[str, Any], shown: dict[str, Any]) -> None:
    assert snapshot(SCHEMA, known) == shown


@pytest.mark.requirement("IN-11")
def test_what_the_class_calls_sensitive_is_masked_too() -> None:
    shown = snapshot(SCHEMA, {"name": "Ann", "home": {"city": "Huế"}}, ["$.home.city"])
    assert shown["name"] == "Ann"
    assert "Huế" not in str(shown)
    assert "Ann" not in str(snapshot(SCHEMA, {"name": "Ann"}, ["$"]))
    assert "cvv" not in visible_names(SCHEMA)


def test_the_released_definitions_hide_what_no_front_end_needs() -> None:
    secrets = {"otp": "1", "pin": "2", "cvv": "3", "create-account": "4"}
    assert snapshot(released_cases()[CaseKey("customer", 1)].schema, secrets) == {}


def test_a_tag_says_what_was_seen_and_since_when() -> None:
    tag = Tag(17, 3, 2, "RUNNING")
    assert read_tag(str(tag)) == tag
    assert read_tag(f" W/{tag} ") == tag
    assert tag.same_as(Tag(18, 3, 2, "RUNNING"))
    assert not tag.same_as(Tag(17, 3, 3, "RUNNING"))
    assert [read_tag(text) for text in ('"7"', "17.3.2.RUNNING", '"0.1.1.RUNNING"', "")] == [None] * 4
