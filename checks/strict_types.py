"""mypy --strict over every room, the checks and the benchmarks. Tests are left out: fixtures say little by type."""

from checks import ROOT, Report, present_rooms
from checks.programs import run_tool


def check(report: Report, write: bool) -> None:
    more = [folder for folder in ("checks", "benchmarks") if any((ROOT / folder).glob("*.py"))]
    run_tool(report, "mypy", "--no-error-summary", *present_rooms(), *more)
