"""import-linter: the layers and the doors, as the contracts of pyproject.toml say."""

from checks import ROOMS, Report, present_rooms
from checks.programs import run_tool


def check(report: Report, write: bool) -> None:
    missing = sorted(set(ROOMS) - set(present_rooms()))
    if missing:
        report.note(f"not looked at before these rooms have something in them: {', '.join(missing)}")
        return
    run_tool(report, "lint-imports", "--no-cache")
