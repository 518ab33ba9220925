"""Rules in files, judged without a database."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from domain.rules.files import as_yaml, lint, read_rules
from domain.rules.references import with_ids, with_names
from schemas.rule_actions import CONFIGURATIONS
from schemas.rule_files import rule_file_schema
from schemas.rules import ActionType, RuleDefinition

USE_CASES = Path(__file__).parents[4] / "definitions/rules/use-cases.yaml"


@pytest.mark.requirement("RU-15")
def test_the_documents_six_use_cases_can_be_written() -> None:
    rules, wrong = read_rules(USE_CASES)

    assert (len(rules), wrong, lint(rules)) == (6, [], [])


@pytest.mark.requirement("RU-15")
def test_a_file_names_the_schema_by_which_editors_complete_and_mark_it() -> None:
    text, lead = USE_CASES.read_text(), "# yaml-language-server: $schema="
    assert text.startswith(lead)
    schema = json.loads((USE_CASES.parent / text.splitlines()[0].removeprefix(lead)).read_text())
    validator = jsonschema_rs.Draft202012Validator(schema)

    assert list(validator.iter_errors(yaml.safe_load(text))) == []
    assert validator.is_valid([caller_of("A", "B")])
    tag = {"actionType": "ADD_TAG", "configuration": {"tag": "hot"}}
    for wrong in ({"actionType": "ADD_TAG", "configuration": {"tga": "hot"}}, {**tag, "retries": 3}, {"actionType": "SHOUT"}):
        assert validator.is_valid([caller_of("A", "B", actions=[tag])])
        assert not validator.is_valid([caller_of("A", "B", actions=[wrong])])
    assert not validator.is_valid([caller_of("A", "B", triggerType="SOON")])


@pytest.mark.parametrize("action_type", list(CONFIGURATIONS))
def test_the_schema_knows_each_field_of_every_configuration(action_type: ActionType) -> None:
    told = rule_file_schema()["$defs"][action_type]
    names = {field.alias for field in CONFIGURATIONS[action_type].model_fields.values()}
    assert told["properties"].keys() - {"ruleName"} == names
    assert told["additionalProperties"] is False


def test_every_problem_of_a_file_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    one = {"name": "A", "triggerType": "ON_CREATE", "entityType": "LEAD", "actions": []}
    file.write_text(yaml.safe_dump([one, {**one, "triggerType": "SOON"}]))
    rules, _ = read_rules(file)

    found = {row["pointer"] for row in lint(rules)}
    assert {"/0/actions", "/1/name", "/1/triggerType"} <= found
    assert {row["file"] for row in lint(rules)} == {str(file)}


@pytest.mark.parametrize(("text", "code"), [("a: [", "yaml"), ("a: 1", "list"), ("[]", "list")])
def test_a_file_that_holds_no_rules_says_so_in_both_languages(tmp_path: Path, text: str, code: str) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(text)

    (english,), (vietnamese,) = read_rules(file)[1], read_rules(file, "vi")[1]
    assert english["code"] == vietnamese["code"] == code
    assert english["message"] != vietnamese["message"]


def test_what_was_exported_reads_as_the_same_rules(tmp_path: Path) -> None:
    before = [RuleDefinition.model_validate(one.document) for one in read_rules(USE_CASES)[0]]
    file = tmp_path / "exported.yaml"
    file.write_text(as_yaml({str(number): told for number, told in enumerate(before)}))

    assert [RuleDefinition.model_validate(one.document) for one in read_rules(file)[0]] == before


def caller_of(name: str, target: str, **told: object) -> dict[str, object]:
    started = {"actionType": "TRIGGER_WORKFLOW", "configuration": {"ruleName": target}}
    return {"name": name, "triggerType": "ON_CREATE", "entityType": "LEAD", "actions": [started], **told}


@pytest.mark.requirement("RU-8", "trap-30")
def test_rules_of_a_file_name_each_other_and_a_circle_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump([caller_of("A", "B"), caller_of("B", "A"), caller_of("C", "stored elsewhere")]))
    rules, _ = read_rules(file)

    assert [(row["pointer"], row["code"], row["severity"]) for row in lint(rules)] == [
        ("/0", "circle", "warning"),
        ("/1", "circle", "warning"),
    ]


def test_a_file_names_rules_and_stored_ones_know_each_other_by_id() -> None:
    document = caller_of("A", "B")

    found, missing = with_ids(document, {"B": "id-of-b"})
    assert RuleDefinition.model_validate(found).actions[0].configuration == {"ruleId": "id-of-b"}
    assert (missing, with_ids(document, {})[1]) == ([], ["/actions/0/configuration/ruleName"])
    assert with_names(found, {"id-of-b": "B"}) == document


@pytest.mark.parametrize("document", [None, [], {"actions": 5}, {"actions": [None]}, caller_of("A", "B", actions=[{}])])
def test_words_that_are_no_rule_pass_untouched(document: object) -> None:
    assert with_ids(document, {"B": "b"}) == (document, [])
