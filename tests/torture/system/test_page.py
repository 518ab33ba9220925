"""The page shows what the lines say, and nothing that no line says."""

import ast
from pathlib import Path

from tests.torture.system import test_full
from tests.torture.system.report import BEGIN, END, PAGE, STEPS, last_lines, table


def test_the_page_has_the_last_figures() -> None:
    text = PAGE.read_text(encoding="utf-8")

    shown = text.partition(BEGIN)[2].partition(END)[0].strip()

    assert shown == table(last_lines()), "run: python -m tests.torture.system.report"


def test_every_step_of_the_full_run_is_on_the_page() -> None:
    named = {
        node.value
        for node in ast.walk(ast.parse(Path(test_full.__file__).read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    plain = {step for step in STEPS if not step.startswith("kill relay") and "-0" not in step}

    assert plain <= named


def test_a_step_without_a_line_is_listed_as_not_run() -> None:
    assert table({}).count("not run") == len(STEPS)
