"""Files of case classes: every class and mapping knows its line, and every mistake has one too."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from domain.cases.mapping.files import DEFAULT, read_directory, read_file, read_text
from domain.cases.mapping.forms import definition_of, form_of
from domain.cases.mapping.model import ClassDefinition, Diagnostic
from schemas.case_classes import CaseClass

HEAD = "module: shop\nclasses:\n"
GOOD = """module: shop
classes:
  - className: com.app.A
    parent: WorkObject
    mappings:
      - {plainColumn: x, jsonPath: $.x}
      - plainColumn: y
        jsonPath: $.y
        type: integer
        onMissing: null
  - className: com.app.B
"""


def read(text: str) -> tuple[list[ClassDefinition], list[Diagnostic]]:
    return read_text(text, "shop.yaml")


def refused(text: str) -> list[tuple[str, str]]:
    return [(problem.code, problem.location) for problem in read(text)[1]]


@pytest.mark.requirement("CD-10")
def test_classes_and_mappings_know_file_and_line() -> None:
    (a, b), problems = read(GOOD)
    assert problems == []
    assert (a.source.source_location, b.source.source_location) == ("shop.yaml:3", "shop.yaml:11")
    assert [entry.location for entry in a.mappings] == ["shop.yaml:6", "shop.yaml:7"]
    assert (a.provenance(a.mappings[1]).source_class, a.module) == ("com.app.A", "shop")
    assert a.mappings[1].on_missing == "null", "the bare word is YAML's null"


@pytest.mark.requirement("CD-11")
@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("", "form", 1),
        ("- 1\n", "form", 1),
        ("module: shop\n", "form", 1),
        ("module: Shop One\nclasses: []\n", "form", 1),
        (HEAD + "  - nothing\n", "form", 3),
        (HEAD + "  - className: A\n    parnet: B\n", "form", 4),
        (HEAD + "  - className: 1A\n", "form", 3),
        (HEAD + "  - className: A\n    mappings: x\n", "form", 4),
        (HEAD + "  - className: A\n    mappings:\n      - {plainColumn: x}\n", "form", 5),
        (HEAD + "  - className: A\n    mappings:\n      - {plainColumn: x, jsonPath: $.x, remove: true}\n", "form", 5),
        (
            HEAD + "  - className: A\n    mappings:\n      - plainColumn: x\n        jsonPath: $.x\n        type: int\n",
            "form",
            7,
        ),
        (HEAD + "  - className: A\n    mappings:\n      - plainColumn: no\n        jsonPath: $.x\n", "form", 5),
        (HEAD + "  - className: A\n    mappings:\n      - {plainColumn: x, jsonPath: $.x, default: 1}\n", "form", 5),
        (
            HEAD + "  - className: A\n    mappings:\n      - plainColumn: x\n        jsonPath: $.x\n        default: 1.10\n",
            "form",
            7,
        ),
        (HEAD + "  - className: A\n    className: B\n", "duplicate-key", 4),
        (HEAD + "  - &a {className: A}\n  - *a\n", "alias", 3),
        (HEAD + "  - className: A\n   mappings: []\n", "unreadable", 4),
        (HEAD + "  - className: !!python/object:os.system A\n", "unreadable", 3),
        (HEAD + "  - className: A\n    table: \x07\n", "unreadable", 4),
        ("a: 1\n---\nb: 2\n", "unreadable", 2),
        ("[" * 40 + "]" * 40, "unreadable", 1),
    ],
)
def test_every_mistake_has_its_line(text: str, code: str, line: int) -> None:
    assert (code, f"shop.yaml:{line}") in refused(text)


def test_what_yaml_makes_of_a_word_is_said() -> None:
    problem = read(HEAD + "  - className: A\n    mappings:\n      - {plainColumn: no, jsonPath: $.x}\n")[1][0]
    assert "YAML reads this as bool: put it in quotes" in problem.message


def test_a_mistake_costs_its_mapping_and_not_the_file() -> None:
    definitions, problems = read(GOOD.replace("type: integer", "type: float"))
    assert len(problems) == 1
    assert [(found.class_name, len(found.mappings)) for found in definitions] == [("com.app.A", 1), ("com.app.B", 0)]


def test_all_mistakes_are_told_at_once() -> None:
    text = (
        GOOD.replace("type: integer", "type: float")
        .replace("{plainColumn: x, ", "{plain: x, ")
        .replace("com.app.B", "com app B")
    )
    assert {location for _, location in refused(text)} == {"shop.yaml:6", "shop.yaml:9", "shop.yaml:11"}


def test_a_file_that_is_not_utf_8_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"module: shop\nclasses: [] # caf\xe9\n")
    assert [problem.location for problem in read_file(path, "latin.yaml")[1]] == ["latin.yaml:2"]


def test_no_directory_is_no_empty_set_of_classes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_directory(tmp_path / "nothing")


def test_a_class_survives_the_way_to_its_form_and_back() -> None:
    definitions, _ = read_directory()
    for definition in definitions:
        form = form_of(definition)
        again = definition_of(CaseClass.model_validate(form), module=definition.module, kind="file", location="elsewhere:1")
        assert (again.mappings, again.parent, again.mixins) == (definition.mappings, definition.parent, definition.mixins)
        assert form_of(again) == form
        json.dumps(form)


@pytest.mark.requirement("CD-11")
def test_every_delivered_file_names_the_published_schema_and_is_what_it_allows() -> None:
    for path in DEFAULT.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        lead = "# yaml-language-server: $schema="
        assert text.startswith(lead)
        schema = json.loads((path.parent / text.splitlines()[0].removeprefix(lead)).read_text())
        validator = jsonschema_rs.Draft202012Validator(schema)
        assert list(validator.iter_errors(yaml.safe_load(text))) == []
        assert not validator.is_valid({"module": "x", "classes": [{"className": "A", "parnet": "B"}]})
