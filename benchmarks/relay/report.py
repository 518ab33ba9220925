"""The committed page: what was measured, beside what, on which machine, with medians and spread."""

from pathlib import Path
from typing import Any

_PAGE = Path(__file__).with_name("results.md")
_DRAIN_AIM, _MEMORY_AIM_MB = 1.2, 150
_P50_AIM_MS, _P99_AIM_MS, _IDLE_AIM = 5.0, 15.0, 0.03


def write(results: dict[str, Any]) -> None:
    """results.md from results.json; a part that was not run is missing."""
    machine = results["machine"]
    lines = [
        "# The relay beside Debezium",
        "",
        f"{machine['cores']} cores shared by relay, PostgreSQL (fsync on), one Kafka broker and the measuring client.",
        f"Debezium {machine['debezium']} in Kafka Connect {machine['connect']}: tuned (poll 10 ms, batch 8192, queue 32768,",
        "lz4, linger 5 ms) and warm (one JVM for the whole run, two drains before the first that counts).",
        "Pairs alternate in one run. Median, lowest and highest in brackets. Figures of other machines differ; the ratio",
        "within a pair is what this page is about.",
        "",
    ]
    if "drain" in results:
        lines += _drain(results["drain"])
    if "latency" in results:
        lines += _latency(results["latency"])
    _PAGE.write_text("\n".join(lines))


def _drain(found: dict[str, Any]) -> list[str]:
    ratio = found["ours_to_debezium_events_per_second"]
    peak = max(pair["ours"]["peak_mb"] for pair in found["pairs"])
    met = ratio["median"] >= _DRAIN_AIM and peak <= _MEMORY_AIM_MB
    return [
        f"## Drain: {found['rows']:,} rows of {found['payload_bytes']} bytes, {len(found['pairs'])} pairs",
        "",
        "Ours also deletes every row, and carries eleven headers per row; Debezium deletes nothing and carries one header.",
        "",
        "| | events/s | CPU s | peak MB |",
        "|---|---|---|---|",
        _drain_row("relay", "ours", found),
        _drain_row("Debezium", "debezium", found),
        "",
        f"Ratio within a pair: {_spread(ratio, 2)}. Load of the machine when each pair began: {_loads(found)}.",
        f"Aim: at least {_DRAIN_AIM} times Debezium with at most {_MEMORY_AIM_MB} MB: {'met' if met else 'not met'}.",
        "",
    ]


def _drain_row(name: str, side: str, found: dict[str, Any]) -> str:
    runs = [pair[side] for pair in found["pairs"]]
    cpu = sorted(run["cpu_seconds"] for run in runs)[len(runs) // 2]
    rate = _spread(found["medians"][side]["events_per_second"], 0)
    return f"| {name} | {rate} | {cpu:.1f} | {max(run['peak_mb'] for run in runs)} |"


def _latency(found: dict[str, Any]) -> list[str]:
    ours = found["medians"]["ours"]
    quick = ours["p50_ms"]["median"] <= _P50_AIM_MS and ours["p99_ms"]["median"] <= _P99_AIM_MS
    verdict = "met" if quick and ours["idle_cpu_share"]["median"] <= _IDLE_AIM else "not met"
    pairs = f"{len(found['pairs'])} pairs of {found['seconds']} s"
    return [
        f"## Commit to consumer: {found['rate']:,} single-row transactions a second, {pairs}",
        "",
        "| | p50 ms | p99 ms | CPU when idle |",
        "|---|---|---|---|",
        _latency_row("relay", found["medians"]["ours"]),
        _latency_row("Debezium", found["medians"]["debezium"]),
        "",
        f"Load of the machine when each pair began: {_loads(found)}.",
        f"Aim: p50 {_P50_AIM_MS:g} ms, p99 {_P99_AIM_MS:g} ms, idle at most {_IDLE_AIM:.0%} of a core: {verdict}.",
        "",
    ]


def _latency_row(name: str, medians: dict[str, Any]) -> str:
    idle = medians["idle_cpu_share"]["median"]
    return f"| {name} | {_spread(medians['p50_ms'], 1)} | {_spread(medians['p99_ms'], 1)} | {idle:.1%} |"


def _spread(values: dict[str, float], digits: int) -> str:
    middle, low, high = (f"{values[name]:,.{digits}f}" for name in ("median", "lowest", "highest"))
    return f"{middle} ({low} to {high})"


def _loads(found: dict[str, Any]) -> str:
    return ", ".join(str(pair["load"]) for pair in found["pairs"])
