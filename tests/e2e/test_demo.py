"""`casestream demo` as a user runs it: on the real incidents where they are given, else on generated ones."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infrastructure.scratch import new_scratch

REAL_INPUT = "CASESTREAM_REAL_INPUT"


@pytest.fixture
def home() -> Iterator[Path]:
    scratch = new_scratch()
    yield scratch
    shutil.rmtree(scratch, ignore_errors=True)


@pytest.mark.requirement("SP-1", "SP-2", "SP-4", "SP-5", "WI-1")
@pytest.mark.timeout(300)
def test_the_demo_balances_its_books_and_leaves_no_process(home: Path) -> None:
    # The demo is a development run: the suite's own switch must not reach its processes.
    environment = {name: value for name, value in os.environ.items() if name != REAL_INPUT}
    given = os.environ.get(REAL_INPUT)
    done = subprocess.run(
        [sys.executable, "-m", "runtime.cli", "demo", *(["--input", given] if given else [])],
        env={**environment, "CASESTREAM_HOME": str(home), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    assert "The books balance." in done.stdout
    commands = int(re.search(r"distinct commands\s+│\s+([\d,]+)", done.stdout)[1].replace(",", ""))  # type: ignore[index]
    assert commands > 24_000
    assert re.search(r"of them duplicates absorbed\s+│\s+[1-9]", done.stdout)
    assert _processes_of(home) == []


def _processes_of(home: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"CASESTREAM_HOME={home}".encode() in entry.read_bytes():
                found.append(entry.parent.name)
        except OSError:
            continue
    return found
