"""What deciding and folding cost, without a database, in seconds of one core's own time, so that what else runs counts less.

fold           events of a loop of steps, read before, folded into the instance (aim: 200,000 a second)
read and fold  the same from their stored JSON: each event is validated by its model
evolve         one event at a time, each instance a value of its own
decide         a command to its decision: a ten-step instance of in-process steps, from start to end
replay         the histories of those instances, every decision made again and compared
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.onboarding import lives
from domain.onboarding.evolving import evolve, fold
from domain.onboarding.replay import replay
from schemas.workflow_events import EVENTS

AIM = 200_000
EVENTS_OF_A_ROUND = 200_000


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Rounds of each, alternated."""
    works = _works(EVENTS_OF_A_ROUND)
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(asked.rounds):
        for name, (count, work) in works.items():
            began = time.process_time()
            work()
            rates[name].append(count / (time.process_time() - began))
    return {"aim": AIM, "per_second": {name: _spread(of) for name, of in rates.items()}}


def _works(events: int) -> dict[str, tuple[int, Callable[[], object]]]:
    history = lives.looped(events)
    stored = [(event.TYPE, event.to_json()) for event in history]
    part = history[: events // 10]
    lived = [lives.lived(f"i-{number}") for number in range(200)]
    decisions = sum(row.cause is not None for life in lived for row in life)

    def one_by_one() -> None:
        instance = None
        for event in part:
            instance = evolve(instance, event)

    def read_and_fold() -> None:
        fold(EVENTS[kind].model_validate_json(text) for kind, text in stored)

    def again() -> None:
        for life in lived:
            found = replay(life, lives.FLOWS)
            assert found.divergence is None

    return {
        "fold": (len(history), lambda: fold(history)),
        "read and fold": (len(history), read_and_fold),
        "evolve": (len(part), one_by_one),
        "decide": (decisions, lambda: [lives.lived("i") for _ in lived]),
        "replay": (sum(map(len, lived)), again),
    }


def _spread(values: list[float]) -> dict[str, int]:
    return {"median": round(statistics.median(values)), "least": round(min(values)), "most": round(max(values))}


def page(result: dict[str, Any]) -> list[str]:
    """The results for people."""
    python = result["machine"]["python"]
    lines = [
        "## Folding and deciding",
        "",
        f"{result['when']}. One core's own time, Python {python}, no I/O. Aim: {result['aim']:,} events folded a second.",
        "",
        "| a second | median | least | most |",
        "|---|---|---|---|",
    ]
    lines += [f"| {name} | {of['median']:,} | {of['least']:,} | {of['most']:,} |" for name, of in result["per_second"].items()]
    return [*lines, "", "`decide` counts commands, all others events; a command of a step that succeeds tells four events."]
