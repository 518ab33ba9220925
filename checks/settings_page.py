"""docs/reference/settings.md, generated from the settings model."""

from collections.abc import Iterable

from checks import ROOT, Report
from runtime.settings.rules import PRODUCTION_RULES, RULES, Rule
from runtime.settings.variables import Variable, variables

PAGE = ROOT / "docs" / "reference" / "settings.md"

_HEAD = """# Settings

<!-- Generated from runtime/settings by `make docs`. -->

Every process reads these environment variables once, at its start. An unknown key or a wrong value refuses to start and
lists every problem at once; `casestream config check` does the same without starting anything, and `casestream config
show` prints what would hold, redacted. An empty value counts as absent.

A key marked "file" may be given as `KEY_FILE` instead, naming a file with the value, as orchestrators mount secrets. Where
nothing names the database and the brokers, a local stack started by `casestream up` is used; never in production.
"""


def check(report: Report, write: bool) -> None:
    report.generated(PAGE, page(), write)


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    sections: dict[str, list[Variable]] = {}
    for variable in variables().values():
        sections.setdefault(variable.section or "Addresses and identity.", []).append(variable)
    for title, members in sections.items():
        parts.append(f"## {title.rstrip('.')}\n\n{_table(members)}")
    parts.append("## Rules between settings\n\n" + _rules(RULES))
    parts.append("## What production refuses\n\n" + _rules(PRODUCTION_RULES))
    return "\n".join(parts)


def _table(members: Iterable[Variable]) -> str:
    lines = ["| variable | legal values | default | what it is for |", "|---|---|---|---|"]
    for variable in members:
        file = " (file)" if variable.may_be_file else ""
        purpose = variable.field.description or ""
        lines.append(f"| `{variable.key}`{file} | {variable.legal} | {variable.default} | {purpose} |")
    return "\n".join(lines) + "\n"


def _rules(rules: Iterable[Rule]) -> str:
    return "\n".join(f"- `{rule.keys[0]}` {rule.cure}" for rule in rules) + "\n"
