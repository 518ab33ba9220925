"""What is hidden of an entity's values: the marked fields, what is in them, and what has them in it."""

import pytest

from domain.fields.paths import parse_path
from domain.fields.sensitive import NOTHING, Sensitive, sensitive_of

MARKED = sensitive_of(["email", "address.city", "contacts[0].phone"])


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("email", True),
        ("email.domain", True),
        ("address", True),
        ("address.city", True),
        ("address.zip", False),
        ("contacts[3].phone", True),
        ("contacts[3].role", False),
        ("emails", False),
    ],
)
def test_a_path_is_hidden_where_it_meets_a_marked_one(path: str, hidden: bool) -> None:
    assert MARKED.hides(parse_path(path)) is hidden
    assert NOTHING.hides(parse_path(path)) is False


def test_masked_values_keep_their_shape() -> None:
    values = {
        "email": "an@example.com",
        "address": {"city": "Huế", "zip": 5},
        "contacts": [{"phone": "1", "role": "boss"}, {"phone": None}, "x"],
        "value": 7,
    }
    assert MARKED.masked(values) == {
        "email": "***@***",
        "address": {"city": "***", "zip": 5},
        "contacts": [{"phone": "***", "role": "boss"}, {"phone": None}, "x"],
        "value": 7,
    }


def test_an_entity_without_marks_is_what_it_was() -> None:
    assert Sensitive().masked({"a": [1, {"b": 2}]}) == {"a": [1, {"b": 2}]}
