"""The figures of the full runs, one JSON line per finished step: `make torture` goes on where it was interrupted.

To run a step again, delete its line.
"""

import json
import os
import platform
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "torture-outbox.jsonl"


async def once(step: str, run: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """The figures of this step, which is run now and recorded; skips the test when its line is there already."""
    if FILE.exists() and any(json.loads(line)["step"] == step for line in FILE.read_text().splitlines()):
        pytest.skip(f"{step} is recorded in {FILE.name}; delete its line to run it again")
    began = datetime.now(UTC)
    load, figures = os.getloadavg()[0], await run()
    line = {
        "step": step,
        "at": began.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - began).total_seconds()),
        "cores": os.cpu_count(),
        "load_when_it_began": round(load, 1),
        "python": platform.python_version(),
        **figures,
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with FILE.open("a") as file:
        file.write(json.dumps(line) + "\n")
    return figures
