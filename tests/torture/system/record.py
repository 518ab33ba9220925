"""One JSON line per finished step of the torture, so that a run which was interrupted goes on where it stopped.

`TORTURE_FRESH=1` runs every step again; `TORTURE_SCALE=0.1` runs a tenth of each count, and the line says so.
"""

import json
import os
import platform
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[3]
RESULTS = PROJECT / "benchmarks" / "results"


def scaled(count: int) -> int:
    """The count of a step, or the part of it that was asked for, at least 1."""
    return max(1, round(count * float(os.environ.get("TORTURE_SCALE", "1"))))


def results_of(step: str) -> Path:
    """Where the step's lines are: `keys: rewrap` is of torture-keys.jsonl, a step without a subject of the whole system."""
    if given := os.environ.get("TORTURE_RESULTS"):
        return Path(given)
    subject, colon, _ = step.partition(": ")
    return RESULTS / f"torture-{subject if colon else 'system'}.jsonl"


def finished(step: str, full: int) -> bool:
    """Whether a line says that this step has run in full."""
    file = results_of(step)
    if os.environ.get("TORTURE_FRESH") == "1" or not file.exists():
        return False
    lines = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    return any(line["step"] == step and line["passed"] and line["count"] >= full for line in lines)


async def run_step(step: str, full: int, run: Callable[[int], Awaitable[dict[str, Any]]], check: Callable[[Any], None]) -> None:
    """Run a step with its count and add its line, whether it passed or not; skip it when it has run in full.

    A step that was interrupted leaves no line: it says nothing, and the next run begins it again.
    """
    if finished(step, full):
        pytest.skip(f"{step} ran in full before: see {results_of(step).name}; TORTURE_FRESH=1 runs it again")
    count, began = scaled(full), time.monotonic()
    line: dict[str, Any] = {"step": step, "count": count, "of": full, "passed": False, "at": _now(), "commit": _commit()}
    line["machine"] = {"cpus": os.cpu_count(), "python": platform.python_version(), "load_before": round(os.getloadavg()[0], 1)}
    try:
        line["figures"] = await run(count)
        check(line["figures"])
        line["passed"] = True
    except Exception as error:
        line["error"] = " ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])[:2000]
        raise
    finally:
        line["seconds"] = round(time.monotonic() - began, 1)
        if line["passed"] or "error" in line:
            _add(line)


def _add(line: dict[str, Any]) -> None:
    file = results_of(line["step"])
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(line, default=str) + "\n")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _commit() -> str:
    """What was tested: given, or asked of git."""
    if given := os.environ.get("TORTURE_COMMIT"):
        return given
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"
