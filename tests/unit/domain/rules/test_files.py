"""Rules in files, judged without a database."""

from pathlib import Path

import pytest
import yaml

from domain.rules.files import as_yaml, lint, read_rules
from schemas.rules import RuleDefinition

USE_CASES = Path(__file__).parents[4] / "definitions/rules/use-cases.yaml"


@pytest.mark.requirement("RU-15")
def test_the_documents_six_use_cases_can_be_written() -> None:
    rules, wrong = read_rules(USE_CASES)

    assert (len(rules), wrong, lint(rules)) == (6, [], [])


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
    file.write_text(as_yaml(before))

    assert [RuleDefinition.model_validate(one.document) for one in read_rules(file)[0]] == before
