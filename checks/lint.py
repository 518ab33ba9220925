"""ruff: the lint rules of pyproject.toml and the one format."""

from checks import Report
from checks.programs import run_tool


def check(report: Report, write: bool) -> None:
    run_tool(report, "ruff", "check", "--quiet", "--output-format", "concise", ".")
    run_tool(report, "ruff", "format", "--check", "--output-format", "concise", ".")
