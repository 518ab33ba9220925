"""No address of a registry or mirror in any file, none at all in a lock file, and no path into the builders' folders.

A clone must install from whatever index its machine is configured for, and must not know where it was made.
"""

import re
from pathlib import Path

from checks import Report, project_files, shown

# Written in pieces, so that this file does not find itself.
REGISTRIES = re.compile(
    "|".join(
        [
            "py" + r"pi\.org",
            "files\\.python" + "hosted",
            r"repo1?\." + r"maven",
            "registry\\." + "npmjs",
            "(?:extra-)?index" + r"-url",
            "find" + "-links",
            "trusted" + "-host",
        ]
    ),
    re.IGNORECASE,
)
NEIGHBOUR = re.compile(r"\.\./" + r"shared\b")
ANY_ADDRESS = re.compile(r"\w+://")
# CI may point an environment variable at the real input beside the checkout.
MAY_NAME_NEIGHBOUR = {".ci/run"}


def check(report: Report, write: bool) -> None:
    for path in project_files():
        text = _text_of(path)
        for number, line in enumerate(text.splitlines(), start=1):
            for problem in problems_of(shown(path), line):
                report.fail(f"{shown(path)}:{number}: {problem}")


def problems_of(name: str, line: str) -> list[str]:
    """What is wrong with one line of the file of this name."""
    found = []
    if REGISTRIES.search(line):
        found.append("names a package registry; leave it to the machine's configuration")
    elif name.endswith(".lock") and ANY_ADDRESS.search(line):
        found.append("an address in a lock file; compile it without addresses")
    if NEIGHBOUR.search(line) and name not in MAY_NAME_NEIGHBOUR:
        found.append("names a folder beside the checkout; only .ci/run may")
    return found


def _text_of(path: Path) -> str:
    raw = path.read_bytes()
    return "" if b"\0" in raw[:8000] else raw.decode("utf-8", errors="replace")
