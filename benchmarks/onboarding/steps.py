"""Durable steps: rounds of every side, alternated, at each concurrency; and what stands on the page."""

import argparse
import statistics
from collections.abc import Sequence
from typing import Any

import uvloop

from benchmarks.onboarding import stage
from benchmarks.onboarding.sides import Peers, Run, measured
from tests.infrastructure import servers

CONCURRENCIES = (1, 8, 32)
STEPS = 10
AIMS = {1: 2.0, 32: 4.0}
AIM_MS = 12.0
_WARM_SECONDS = 2.0


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """All runs, by side and concurrency."""
    server = servers.provide_postgres()
    try:
        peers = Peers.installed(server.address)
        runs: dict[str, dict[str, list[Run]]] = {}
        commits: list[float] = []
        for _ in range(asked.rounds):
            commits.append(uvloop.run(stage.commits_per_second(server.address)))
            for concurrency in CONCURRENCIES:
                _keep(runs, "ours", concurrency, uvloop.run(_ours(server.address, concurrency, asked.seconds)))
                for name in peers.there:
                    _keep(runs, name, concurrency, peers.run(name, concurrency, asked.seconds))
    finally:
        server.close()
    return {"steps": STEPS, "rounds": asked.rounds, "commits": commits, "runs": runs, "not_run": peers.lacking}


def _keep(runs: dict[str, dict[str, list[Run]]], side: str, concurrency: int, run: Run) -> None:
    runs.setdefault(side, {}).setdefault(str(concurrency), []).append(run)


async def _ours(server: str, concurrency: int, seconds: float) -> Run:
    async with stage.opened(server, STEPS) as ground:
        await measured(ground.journey, concurrency, _WARM_SECONDS)
        ground.forget()
        run = await measured(ground.journey, concurrency, seconds)
        await ground.check()
        return {**run, "first_call_p50_ms": round(statistics.median(ground.from_first_call) * 1000, 2)}


def page(result: dict[str, Any]) -> list[str]:
    """The results for people."""
    commits, machine, rounds = result["commits"], result["machine"], result["rounds"]
    lines = [
        "## Durable steps",
        "",
        f"{result['when']}, {machine['cores']} cores, load {machine['load'][0]}, {rounds} rounds: median (least to most).",
        "",
        "| side | at a time | steps/s | ten steps p50 ms | p99 ms |",
        "|---|---|---|---|---|",
    ]
    for side, by in result["runs"].items():
        for concurrency, runs in by.items():
            cells = [_cell([run[name] for run in runs]) for name in ("steps_per_second", "p50_ms", "p99_ms")]
            lines.append(f"| {side} | {concurrency} | {' | '.join(cells)} |")
    lines += ["", f"A bare insert, one connection: {_cell(commits)} commits/s.", "", *_verdicts(result)]
    if result["not_run"]:
        lines += ["", f"Not run, not installed: {', '.join(result['not_run'])}."]
    return lines


def _verdicts(result: dict[str, Any]) -> list[str]:
    runs = result["runs"]
    best = {of: _best(runs, of) for of in AIMS}
    found = [
        f"- {of} at a time: {_median(runs['ours'][str(of)], 'steps_per_second') / rate:.1f} times {name} (aim {AIMS[of]:.0f})."
        for of, (name, rate) in best.items()
        if name
    ]
    alone = runs["ours"]["1"]
    first = _median(alone, "first_call_p50_ms")
    share = _median(alone, "steps_per_second") / statistics.median(result["commits"])
    return [
        *found,
        f"- Ten steps alone: {_median(alone, 'p50_ms')} ms (aim {AIM_MS:.0f}), from the first call on {first} ms.",
        f"- At 1 at a time {share:.0%} of the commits/s of a bare insert.",
    ]


def _best(runs: dict[str, Any], concurrency: int) -> tuple[str, float]:
    rates = {
        name: _median(by[str(concurrency)], "steps_per_second")
        for name, by in runs.items()
        if name != "ours" and str(concurrency) in by
    }
    name = max(rates, key=lambda one: rates[one], default="")
    return name, rates.get(name, 0.0)


def _median(runs: Sequence[Run], name: str) -> float:
    return float(statistics.median(run[name] for run in runs))


def _cell(values: Sequence[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"
