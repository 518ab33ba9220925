"""docs/how-to/map-a-column.md, typed as it stands."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from domain.cases.mapping.files import DEFAULT
from runtime.cli import main

GUIDE = (Path(__file__).parents[5] / "docs" / "how-to" / "map-a-column.md").read_text(encoding="utf-8")
FILE_PART = GUIDE.split("## In a file", 1)[1].split("\n## ", 1)[0]
MAPPING = next(line for line in FILE_PART.splitlines() if line.lstrip().startswith("- {plainColumn"))
COMMANDS = re.findall(r"^ *(casestream mapping .*)$", FILE_PART, re.MULTILINE)


def test_the_steps_for_a_file_do_what_the_guide_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(DEFAULT, "definitions/cases")
    shutil.copytree("definitions/cases", "before")
    with Path("definitions/cases/orders.yaml").open("a", encoding="utf-8") as orders:
        orders.write(f"{MAPPING}\n")

    answers = {}
    for command in COMMANDS:
        with pytest.raises(SystemExit) as left:
            main([*shlex.split(command)[1:], "--output", "jsonl"])
        assert left.value.code == 0, command
        answers[command.split()[2]] = capsys.readouterr().out

    assert answers["lint"] == ""
    assert '"verdict":"wins"' in answers["explain"]
    assert '"sourceLocation":"definitions/cases/orders.yaml:' in answers["resolve"]
    changed = [line for line in answers["diff"].splitlines() if '"column":"warehouse"' in line]
    assert len(changed) == len(answers["diff"].splitlines()) == 2, "the class's own table and the work table"
