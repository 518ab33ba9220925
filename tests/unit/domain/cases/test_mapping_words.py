"""A class's words from a request: read with every mistake in its place, compared, and written as a file."""

from typing import Any

import pytest
import yaml

from domain.cases.mapping.files import read_text
from domain.cases.mapping.forms import form_of
from domain.cases.mapping_store.exporting import yaml_of
from domain.cases.mapping_store.reading import MOST_MAPPINGS, read_body
from domain.cases.mapping_store.reads import differences, normalised

BODY: dict[str, Any] = {
    "className": "com.app.Order",
    "parent": "WorkObject",
    "mappings": [
        {"plainColumn": "TOTAL", "jsonPath": "$.total", "type": "numeric(12,2)"},
        {"plainColumn": "note", "jsonPath": "$['a: b']", "onMissing": "default", "default": "yes # no"},
        {"plainColumn": "STATE", "remove": True},
    ],
}


def test_words_become_a_definition_that_says_where_it_stands() -> None:
    definition, problems = read_body(BODY, 3, "orders")
    assert problems == []
    assert definition is not None
    assert (definition.module, definition.source.source_kind, definition.source.source_location) == (
        "orders", "db", "com.app.Order@3#",
    )  # fmt: skip
    assert [entry.location for entry in definition.mappings] == [f"com.app.Order@3#/mappings/{at}" for at in range(3)]
    assert form_of(definition) == {**BODY, "module": "orders"}


@pytest.mark.requirement("CD-11")
def test_every_mistake_of_form_is_found_and_what_is_good_is_kept() -> None:
    body = {
        **BODY,
        "table": 7,
        "surprise": "canary-3",
        "mappings": [BODY["mappings"][0], 5, {"plainColumn": "x"}, {"plainColumn": "y", "jsonPath": "$.y", "type": "blob"}],
    }
    definition, problems = read_body(body, 1)
    assert definition is None
    assert {problem.pointer for problem in problems} == {"/table", "", "/mappings/1", "/mappings/2", "/mappings/3/type"}
    assert "canary" not in repr(problems)
    kept, _ = read_body({**BODY, "mappings": body["mappings"]}, 1)
    assert kept is not None
    assert [entry.plain_column for entry in kept.mappings] == ["TOTAL"]


@pytest.mark.parametrize(
    "body",
    [{}, {"className": None}, {"className": "a b"}, {"className": "X", "mappings": None}, {"className": "X", "mappings": "x"},
     {"className": "X", "mappings": [{}] * (MOST_MAPPINGS + 1)}, {"className": "X", "parent": ["Y"]}],
)  # fmt: skip
def test_what_is_no_class_is_refused(body: dict[str, Any]) -> None:
    definition, problems = read_body(body, 1)
    assert definition is None
    assert problems


def test_differences_name_words_and_columns() -> None:
    new = {
        **BODY,
        "parent": "DataObject",
        "mappings": [
            {"plainColumn": "total", "jsonPath": "$.sum", "type": "numeric(12,2)", "exposed": True},
            BODY["mappings"][2],
            {"plainColumn": "region", "jsonPath": "$.region"},
        ],
    }
    assert differences(BODY, BODY) == []
    assert {(found["column"], found["word"], str(found["new"])[:10]) for found in differences(BODY, new)} == {
        (None, "parent", "DataObject"),
        ("note", None, "None"),
        ("region", None, "{'plainCol"),
        ("total", "jsonPath", "$.sum"),
        ("total", "exposed", "True"),
    }


def test_two_wordings_that_mean_the_same_do_not_differ() -> None:
    said = {**BODY, "isMixin": False, "module": "database", "mappings": [line | {"indexed": True} for line in BODY["mappings"]]}
    assert differences(normalised({}, "com.app.Order", BODY), normalised({}, "com.app.Order", said)) == []


@pytest.mark.requirement("CD-10")
def test_an_exported_class_reads_back_the_same_and_says_where_it_came_from() -> None:
    definition, _ = read_body(BODY, 3, "orders")
    assert definition is not None
    text = yaml_of([definition])
    (again,), problems = read_text(text, "again.yaml")
    assert problems == []
    assert form_of(again) == form_of(definition)
    assert "# db: com.app.Order@3#" in text
    assert "# com.app.Order@3#/mappings/1" in text
    assert yaml.safe_load(text)["classes"][0]["mappings"][1]["default"] == "yes # no"
