"""`casestream rule lint` over definitions/rules/, and the published schema of rule files: what we ship can be imported."""

from pathlib import Path

from checks import Report
from domain.rules.files import lint, read_rules
from schemas.published import RULES

DIRECTORY = Path(__file__).resolve().parent.parent / "definitions" / "rules"
HINT = f"# yaml-language-server: $schema=../../schemas/published/{RULES}"


def check(report: Report, write: bool) -> None:
    for file in sorted(DIRECTORY.glob("*.yaml")):
        name = f"definitions/rules/{file.name}"
        if file.read_text(encoding="utf-8").splitlines()[0] != HINT:
            report.fail(f"{name}: the first line must be {HINT}")
        rules, unreadable = read_rules(file)
        for row in (*unreadable, *lint(rules)):
            tell = report.fail if row["severity"] == "error" else report.note
            tell(f"{name}{row['pointer']}: {row['code']}: {row['message']}")
