"""The worked examples and the list of diagnostics in docs/reference/mapping.md are what the code does."""

import re
from pathlib import Path
from typing import get_args

import pytest

from domain.cases.mapping.model import Code
from domain.cases.mapping.resolve import resolve
from tests.unit.domain.cases.mapping.notation import graph

ROOT = Path(__file__).parents[5]
PAGE = (ROOT / "docs" / "reference" / "mapping.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\| `([^`]*\bC\b[^`]*\{[^`]*)` \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE)


def test_the_page_has_its_examples() -> None:
    assert len(EXAMPLES) >= 25


@pytest.mark.requirement("CD-6", "CD-7", "CD-8", "CD-9", "trap-82", "trap-83")
@pytest.mark.parametrize(("classes", "expected"), EXAMPLES)
def test_a_worked_example(classes: str, expected: str) -> None:
    resolved, problems = resolve(graph(classes), "C")
    if expected.startswith("error "):
        assert [problem.code for problem in problems] == [expected.removeprefix("error ")]
        return
    assert problems == []
    told = [
        f"`{column.name}: {column.entry.json_path}{'' if column.entry.type == 'text' else f' {column.entry.type}'}` "
        f"of {column.provenance.source_class}"
        for column in resolved.columns
    ]
    assert (", ".join(told) or "nothing") == expected


def test_every_code_of_a_diagnostic_is_on_the_page_and_no_other() -> None:
    rows = [line for line in PAGE.split("## Diagnostics", 1)[1].splitlines() if line.startswith("| `")]
    assert {code for row in rows for code in re.findall(r"`([a-z-]+)`", row.split("|")[1])} == set(get_args(Code))


def test_the_order_that_the_explanation_draws() -> None:
    drawn = graph("G { } M { } N { } A { } B + N { } P < G + M { } C < P + A, B { }")
    assert resolve(drawn, "C")[0].ancestry == ("C", "B", "N", "A", "P", "M", "G")
