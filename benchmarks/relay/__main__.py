"""`python -m benchmarks.relay [drain|latency] [--rows N] [--pairs N] [--seconds N]`: ours beside Debezium, alternated."""

import argparse
import json
import os
import platform
import statistics
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.relay import debezium as peers
from benchmarks.relay import report
from benchmarks.relay.debezium import debezium
from benchmarks.relay.drain import drain_ours, drain_peer
from benchmarks.relay.ground import PAYLOAD_BYTES, ground
from benchmarks.relay.latency import measure_ours, measure_peer

_RESULTS = Path(__file__).with_name("results.json")
_RATE = 1000

Pairs = list[dict[str, Any]]


async def run_drain(rows: int, pairs: int) -> dict[str, Any]:
    async with ground() as place, debezium(place) as peer:
        # The JVM compiles during two drains that are not counted.
        for _ in range(2):
            await drain_peer(place, peer, rows // 2)
        found = []
        for number in range(pairs):
            load = round(os.getloadavg()[0], 1)
            pair = {"load": load, "ours": await drain_ours(place, rows), "debezium": await drain_peer(place, peer, rows)}
            print(f"drain {number + 1}/{pairs}: {pair}", flush=True)
            found.append(pair)
        return {"rows": rows, "payload_bytes": PAYLOAD_BYTES, "pairs": found, **_medians(found, "events_per_second")}


async def run_latency(seconds: int, pairs: int) -> dict[str, Any]:
    async with ground() as place, debezium(place) as peer:
        await drain_peer(place, peer, 100_000)
        found = []
        for number in range(pairs):
            load = round(os.getloadavg()[0], 1)
            ours = await measure_ours(place, _RATE, seconds)
            pair = {"load": load, "ours": ours, "debezium": await measure_peer(place, peer, _RATE, seconds)}
            print(f"latency {number + 1}/{pairs}: {pair}", flush=True)
            found.append(pair)
        return {"rate": _RATE, "seconds": seconds, "pairs": found, **_medians(found, "p50_ms", "p99_ms", "idle_cpu_share")}


def _medians(pairs: Pairs, *names: str) -> dict[str, Any]:
    """Median (lowest, highest) per side, and of the first name the ratio within each pair."""
    sides = ("ours", "debezium")
    spread = {side: {name: _spread([pair[side][name] for pair in pairs]) for name in names} for side in sides}
    ratios = [pair["ours"][names[0]] / pair["debezium"][names[0]] for pair in pairs]
    return {"medians": spread, f"ours_to_debezium_{names[0]}": _spread(ratios)}


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 4), "lowest": round(min(values), 4), "highest": round(max(values), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["drain", "latency"])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=30)
    chosen = parser.parse_args()
    results = json.loads(_RESULTS.read_text()) if _RESULTS.exists() else {}
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system(), **peers.VERSIONS}
    for what in chosen.what:
        work = run_drain(chosen.rows, chosen.pairs) if what == "drain" else run_latency(chosen.seconds, chosen.pairs)
        results = {"machine": machine, **{k: v for k, v in results.items() if k != "machine"}, what: uvloop.run(work)}
        _RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        report.write(results)


if __name__ == "__main__":
    main()
