"""`python -m benchmarks.onboarding [--rounds 5]`: folding histories and deciding commands, no I/O.

Counted in seconds of one core's own time, so that what else runs on the machine counts less.

fold           events of a loop of steps, read before, folded into the instance (aim: 200,000 a second)
read and fold  the same from their stored JSON: each event is validated by its model
evolve         one event at a time, each instance a value of its own
decide         a command to its decision: a ten-step instance of in-process steps, from start to end
replay         the histories of those instances, every decision made again and compared

Results: benchmarks/onboarding/results.json and results.md.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.onboarding import ground
from domain.onboarding.evolving import evolve, fold
from domain.onboarding.replay import replay
from schemas.workflow_events import EVENTS

RESULTS = Path(__file__).parent
AIM = 200_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=200_000)
    asked = parser.parse_args()
    works = _works(asked.events)
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(asked.rounds):
        for name, (count, work) in works.items():
            began = time.process_time()
            work()
            rates[name].append(count / (time.process_time() - began))
    result = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "load": [round(load, 1) for load in os.getloadavg()]},
        "python": platform.python_version(),
        "aim": AIM,
        "per_second": {name: _spread(of) for name, of in rates.items()},
    }
    (RESULTS / "results.json").write_text(json.dumps(result, indent=2) + "\n")
    (RESULTS / "results.md").write_text(page(result))
    print(page(result))
    return 0 if statistics.median(rates["fold"]) >= AIM else 1


def _works(events: int) -> dict[str, tuple[int, Callable[[], object]]]:
    history = ground.looped(events)
    stored = [(event.TYPE, event.to_json()) for event in history]
    part = history[: events // 10]
    lives = [ground.lived(f"i-{number}") for number in range(200)]
    decisions = sum(row.cause is not None for life in lives for row in life)

    def one_by_one() -> None:
        instance = None
        for event in part:
            instance = evolve(instance, event)

    def read_and_fold() -> None:
        fold(EVENTS[kind].model_validate_json(text) for kind, text in stored)

    def again() -> None:
        for life in lives:
            found = replay(life, ground.FLOWS)
            assert found.divergence is None

    return {
        "fold": (len(history), lambda: fold(history)),
        "read and fold": (len(history), read_and_fold),
        "evolve": (len(part), one_by_one),
        "decide": (decisions, lambda: [ground.lived("i") for _ in lives]),
        "replay": (sum(map(len, lives)), again),
    }


def _spread(values: list[float]) -> dict[str, int]:
    return {"median": round(statistics.median(values)), "least": round(min(values)), "most": round(max(values))}


def page(result: dict[str, Any]) -> str:
    """The results for people."""
    lines = [
        "# Folding and deciding onboarding",
        "",
        f"<!-- Written by `python -m benchmarks.onboarding` ({result['when']}); its docstring says what is measured. -->",
        "",
        f"One core's own time, Python {result['python']}, no I/O. Aim: {result['aim']:,} events folded a second.",
        "",
        "| a second | median | least | most |",
        "|---|---|---|---|",
    ]
    lines += [f"| {name} | {of['median']:,} | {of['least']:,} | {of['most']:,} |" for name, of in result["per_second"].items()]
    lines += ["", "`decide` counts commands, all others events; a command of a step that succeeds tells four events."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
