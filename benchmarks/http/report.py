"""Writes the committed result: every run as JSON, and a page for people."""

import json
import os
import platform
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_AIM_PER_SECOND, _AIM_P99_MS = 1500, 30


def write(result: dict[str, Any]) -> None:
    """results.json and results.md beside this file."""
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    (_HERE / "results.json").write_text(json.dumps({"machine": machine, **result}, indent=1) + "\n")
    (_HERE / "results.md").write_text(_page({"machine": machine, **result}))


def _page(result: dict[str, Any]) -> str:
    door, peer = result["door"], result["peer"]
    share = door["per_second"]["median"] / peer["per_second"]["median"]
    met = door["per_second"]["median"] >= _AIM_PER_SECOND and door["p99_ms"]["median"] <= _AIM_P99_MS
    machine = result["machine"]
    verdict = "met." if met else "not met."
    lines = [
        "# Actions over HTTP",
        "",
        f"{result['connections']} connections, one API process, {result['pairs']} alternated pairs of",
        f"{result['seconds']:g} s, {machine['cores']} cores shared with PostgreSQL (fsync on) and the client.",
        f"Load of the machine when it began: {result['load']:.1f}. Medians, lowest and highest in brackets.",
        "",
        "| | actions/s | p50 ms | p99 ms | CPU ms per action | RSS MB |",
        "|---|---|---|---|---|---|",
        _row("the door", door),
        _row("bare FastAPI route, four plain statements", peer),
        "",
        f"The door does {share:.0%} of the bare route.",
        f"Aim: at least {_AIM_PER_SECOND} actions/s with p99 at most {_AIM_P99_MS} ms: {verdict}",
        "",
    ]
    return "\n".join(lines)


def _row(name: str, side: dict[str, Any]) -> str:
    rate, p99 = side["per_second"], side["p99_ms"]
    rates = f"{rate['median']:.0f} ({rate['lowest']:.0f}-{rate['highest']:.0f})"
    cells = [name, rates, f"{side['p50_ms']:.1f}", f"{p99['median']:.1f}", f"{side['cpu_ms']:.2f}", f"{side['rss_mb']:.0f}"]
    return f"| {' | '.join(cells)} |"
