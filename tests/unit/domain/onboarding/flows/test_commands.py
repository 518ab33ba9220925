"""`casestream flow ...` on files."""

import json
from pathlib import Path

import pytest

from runtime.cli import main
from tests.unit.domain.onboarding.flows.test_checking import EVERYTHING_WRONG, GOOD

CARD = "definitions/flows/card-onboarding.v1.yaml"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_lint_tells_all_with_lines_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wrong.yaml").write_text(EVERYTHING_WRONG)
    (tmp_path / "good.yaml").write_text(GOOD.replace("flow: small", "flow: good"))
    code, out, err = run(capsys, "flow", "lint", str(tmp_path), "--lang", "vi", "--output", "json")
    rows = json.loads(out)
    assert code == 1
    assert "2 file(s), " in err
    assert rows[0]["location"].endswith("wrong.yaml:3")
    assert rows[0]["message"] == "không có trạng thái NOWHERE"


def test_lint_of_the_release_has_nothing_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "flow", "lint", "--output", "json")[:2] == (0, "[]\n")


def test_show_and_graph_print_a_definition(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "flow", "show", CARD, "--output", "json")
    assert [row["compensation"] for row in json.loads(out)][1:4] == [
        "UNDO_ACCOUNT_CREATION", "UNDO_WALLET_CREATION", "UNDO_CARD_ACTIVATION",
    ]  # fmt: skip
    assert run(capsys, "flow", "graph", CARD)[1].startswith("stateDiagram-v2\n    [*] --> PROFILE_COMPLETED\n")
    assert run(capsys, "flow", "graph", "--svg", CARD)[1].startswith("<svg ")


def test_nothing_is_made_of_a_definition_with_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wrong.yaml").write_text(EVERYTHING_WRONG)
    code, out, err = run(capsys, "flow", "graph", str(tmp_path / "wrong.yaml"))
    assert (code, out) == (1, "")
    assert "wrong.yaml:3: unknown-state: there is no state NOWHERE" in err


def test_diff_and_migrate_plan_compare_two_versions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "small.v1.yaml", tmp_path / "small.v2.yaml"
    old.write_text(GOOD)
    new.write_text(GOOD.replace("version: 1", "version: 2").replace("name: A", "name: BEGIN").replace("from: A", "from: BEGIN"))
    new.write_text(new.read_text().replace("initial: A", "initial: BEGIN"))
    _, out, _ = run(capsys, "flow", "diff", str(old), str(new), "--output", "json")
    assert [(row["part"], row["change"], row["name"]) for row in json.loads(out)][:2] == [
        ("flow", "changed", "small"),
        ("state", "added", "BEGIN"),
    ]
    code, out, _ = run(capsys, "flow", "migrate-plan", str(old), str(new), "--output", "json")
    assert (code, json.loads(out)[0]["reason"]) == (1, "no-such-state")
    code, out, _ = run(capsys, "flow", "migrate-plan", str(old), str(new), "--map", "A=BEGIN", "--output", "json")
    assert (code, json.loads(out)[0]["verdict"]) == (0, "fits")
    assert run(capsys, "flow", "migrate-plan", str(old), CARD)[0] == 1
    assert run(capsys, "flow", "migrate-plan", str(old), str(new), "--map", "A")[0] == 2
