"""The README and docs name only what exists: make targets, `casestream` families, and files behind relative links.

That the shown commands work is for the tests; this check keeps a renamed one from staying in a page.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from checks import ROOT, Report, project_files, shown
from runtime.cli import FAMILIES

_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
# In a code span or at the start of a line of a code block; a word after it must look like a target or a family.
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_MAKE = re.compile(r"(?:^|[`\n;&|] ?)make ([a-z]+)\b")
_CASESTREAM = re.compile(r"(?:^|[`\n;&|/] ?)casestream ([a-z][a-z-]*)\b")
_TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)


def check(report: Report, write: bool) -> None:
    for path in project_files("README.md", "CHANGELOG.md", "docs/**.md"):
        for problem in problems_of(path, path.read_text(encoding="utf-8")):
            report.fail(f"{shown(path)}: {problem}")


def problems_of(path: Path, text: str) -> Iterator[str]:
    """What one page names that does not exist."""
    for link in _LINK.findall(text):
        if not (path.parent / link).exists():
            yield f"links to {link}, which does not exist"
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    code = "\n".join(_CODE.findall(text))
    for target in sorted(set(_MAKE.findall(code)) - targets):
        yield f"names make {target}, which is no target"
    for family in sorted(set(_CASESTREAM.findall(code)) - set(FAMILIES)):
        yield f"names casestream {family}, which is no command"
