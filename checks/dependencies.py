"""Every direct dependency has its reason in docs/reference/dependencies.md, and no row outlives its dependency.

No installed distribution may own one of our top-level names either: it would come first on the path and hide a room.
"""

import importlib.metadata
import re
import tomllib

from checks import ROOMS, ROOT, Report

PAGE = ROOT / "docs" / "reference" / "dependencies.md"
_ROW = re.compile(r"^\| `([a-z0-9-]+)` \|", re.MULTILINE)


def check(report: Report, write: bool) -> None:
    rows = set(_ROW.findall(PAGE.read_text(encoding="utf-8")))
    direct = direct_dependencies()
    for name in sorted(direct - rows):
        report.fail(f"{name} has no row in docs/reference/dependencies.md; say there what it is for")
    for name in sorted(rows - direct):
        report.fail(f"docs/reference/dependencies.md explains {name}, which pyproject.toml does not name")
    for room, owners in importlib.metadata.packages_distributions().items():
        if room in (*ROOMS, "migrations", "definitions", "deploy") and set(owners) != {"casestream"}:
            report.fail(f"the installed {', '.join(owners)} brings a top-level {room}, which hides ours")


def direct_dependencies() -> set[str]:
    """Names as pyproject.toml states them, for run time, extras and the build."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = pyproject["project"]
    stated = [*project["dependencies"], *pyproject["build-system"]["requires"]]
    stated += [wanted for extra in project["optional-dependencies"].values() for wanted in extra]
    return {re.split(r"[\[<>=;~! ]", text)[0].lower() for text in stated}
