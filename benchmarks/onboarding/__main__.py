"""`python -m benchmarks.onboarding [deciding] [steps] [--seconds 6] [--rounds 3]`: both parts, or those named.

`deciding`, without a database: its page says what is counted. `steps` is B6: journeys of ten automatic steps whose handlers do
nothing, at 1, 8 and 32 at a time, each step durable before the next begins. Alternated rounds on one machine, fsync on:

commits        a bare insert and its commit, one connection: the database's own limit at 1 at a time
ours           a process that starts journeys as a door does and makes their calls as the worker does, with outbox and leases
dbos           a workflow of ten steps in one process, on the same PostgreSQL
restate        a service of ten `ctx.run`, called through the ingress; its server's own log on disk
temporal       a workflow of ten local activities, development server with its database in a file

Peers are installed from their own lock file into an environment of their own. The servers of Restate and Temporal are where
RESTATE_SERVER and TEMPORAL_CLI say; a peer that is not there is reported as not run.
Results: results.json and results.md beside this file.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.onboarding import deciding, steps

RESULTS = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(_MEASURE))
    parser.add_argument("--seconds", type=float, default=6.0, help="of each run of `steps`")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    chosen = asked.parts or list(_MEASURE)
    if unknown := set(chosen) - set(_MEASURE):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(_MEASURE)}")
    kept = RESULTS / "results.json"
    result: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    for part in chosen:
        load = [round(load, 1) for load in os.getloadavg()]
        result[part] = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"cores": os.cpu_count(), "load": load, "python": platform.python_version()},
            **_MEASURE[part](asked),
        }
    kept.write_text(json.dumps(result, indent=2) + "\n")
    (RESULTS / "results.md").write_text(page(result))
    print(page(result))
    return 0


def page(result: dict[str, Any]) -> str:
    """The results for people."""
    lines = ["# Onboarding", "", "<!-- Written by `python -m benchmarks.onboarding`; its docstring says what is measured. -->"]
    for part in _PAGES:
        if part in result:
            lines += ["", *_PAGES[part](result[part])]
    return "\n".join(lines) + "\n"


_MEASURE: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {"deciding": deciding.measure, "steps": steps.measure}
_PAGES: dict[str, Callable[[dict[str, Any]], list[str]]] = {"deciding": deciding.page, "steps": steps.page}

if __name__ == "__main__":
    raise SystemExit(main())
