"""`python -m benchmarks.onboarding_steps [--seconds 10]`: B6, durable steps per second, and how long ten steps take.

Instances of ten automatic steps whose handlers do nothing, at 1, 8 and 32 at a time. One process starts them, as the HTTP door
would, and one worker in it makes the calls; PostgreSQL writes to disk (fsync on). Each step is committed with its outcome
before the next one's call begins; every event stands in the outbox. An instance counts when its row is seen COMPLETED.

Results: benchmarks/onboarding_steps/results.json and results.md. Peers are not run here yet.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.onboarding_steps.ground import Ground, opened

RESULTS = Path(__file__).parent
CONCURRENCIES = (1, 8, 32)
STEPS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    asked = parser.parse_args()
    result: dict[str, Any] = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "load": [round(load, 1) for load in os.getloadavg()]},
        "versions": {"python": platform.python_version()},
        "runs": asyncio.run(_all(asked.seconds)),
    }
    (RESULTS / "results.json").write_text(json.dumps(result, indent=2) + "\n")
    (RESULTS / "results.md").write_text(page(result))
    print(page(result))


async def _all(seconds: float) -> list[dict[str, Any]]:
    async with opened(STEPS) as ground:
        await _measure(ground, 8, 2.0)
        return [await _measure(ground, concurrency, seconds) for concurrency in CONCURRENCIES]


async def _measure(ground: Ground, concurrency: int, seconds: float) -> dict[str, Any]:
    """Start one instance after the other, so many at a time."""
    ended, until = list[float](), time.perf_counter() + seconds

    async def one_after_the_other() -> None:
        while time.perf_counter() < until:
            began = time.perf_counter()
            await ground.journey()
            ended.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        group.create_task(ground.watch(until))
        for _ in range(concurrency):
            group.create_task(one_after_the_other())
    took = time.perf_counter() - began
    return {
        "concurrency": concurrency,
        "instances": len(ended),
        "steps_per_second": round(len(ended) * STEPS / took, 1),
        "p50_ms": round(statistics.median(ended) * 1000, 1),
        "p99_ms": round(statistics.quantiles(ended, n=100)[98] * 1000, 1) if len(ended) > 1 else None,
    }


def page(result: dict[str, Any]) -> str:
    """The results as a page."""
    rows = [
        f"| {run['concurrency']} | {run['instances']} | {run['steps_per_second']} | {run['p50_ms']} | {run['p99_ms']} |"
        for run in result["runs"]
    ]
    return "\n".join(
        [
            "# Durable steps",
            "",
            f"{result['when']}, {result['machine']['cores']} cores, load before {result['machine']['load'][0]}.",
            "",
            "| at a time | instances | steps/s | ten steps p50 ms | p99 ms |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
