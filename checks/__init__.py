"""What `make check` runs: small programs that keep the habits of the house, a page each.

A check is a module with `check(report, write)`; the table in `__main__` lists them. With `write` a check writes the page
or file it generates, otherwise it compares. Nothing here needs the network, a database or a broker.
"""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("schemas", "domain", "processors", "outbox_relay", "workers", "projections", "api", "runtime", "clients", "demo")


@dataclass(slots=True)
class Report:
    """What one check found: problems fail `make check`, notes are only printed."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fail(self, problem: str) -> None:
        self.problems.append(problem)

    def note(self, note: str) -> None:
        self.notes.append(note)

    def generated(self, path: Path, text: str, write: bool) -> None:
        """Compare a generated file with what it should be, or write it."""
        if write and (not path.exists() or path.read_text(encoding="utf-8") != text):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            self.fail(f"{shown(path)} is not what the code says; run `make docs`")


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def present_rooms() -> list[str]:
    """The rooms that have something in them."""
    return [room for room in ROOMS if (ROOT / room / "__init__.py").exists()]


def project_files(*patterns: str) -> list[Path]:
    """Files of the project, committed or about to be; never what .gitignore leaves out."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())
