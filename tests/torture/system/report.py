"""The figures of docs/reference/torture.md, from the lines of finished steps: `python -m tests.torture.system.report`.

The last line of a step counts, passed or not; a step without a line is listed as not run.
"""

import json
from pathlib import Path
from typing import Any

from tests.torture.system.record import PROJECT
from tests.torture.system.verdict import ZEROS

PAGE = PROJECT / "docs" / "reference" / "torture.md"
RESULTS = PROJECT / "benchmarks" / "results" / "torture-system.jsonl"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

# Every step of test_full.py with its full count.
STEPS: dict[str, int] = {
    "kill relay-0": 20,
    "kill work-items-0": 20,
    "kill projections-0": 20,
    "kill api-0": 20,
    "kill workers-0": 20,
    "kill relay-0 of two, the other takes over": 20,
    "kill work-items-0 of two, the other takes over": 20,
    "kill projections-0 of two, the other takes over": 20,
    "kill postmaster": 20,
    "kill the only broker": 20,
    "kill a partition's leader of 3": 20,
    "kill all 3 brokers": 20,
    "broker away, seconds": 300,
    "SIGTERM restarts under load": 100,
    "freeze relay, work-items and projections past lease and session": 100,
    "poison in one group": 90,
    "kill everything at once": 10,
    "1,000,000 events through the board": 1_000_000,
    "clock jumps of +/- 1 h": 5,
}


def last_lines(file: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """The last line of each step."""
    if not file.exists():
        return {}
    lines = [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines() if text.strip()]
    return {line["step"]: line for line in lines}


def table(lines: dict[str, dict[str, Any]]) -> str:
    """A row per step, in the page's order."""
    head = (
        "| step | ran | commands | lost, twice, out of order | delivered twice and absorbed | live again, slowest | verdict |"
    )
    rows = [_row(step, full, lines.get(step)) for step, full in STEPS.items()]
    return "\n".join([head, "|" + " --- |" * 7, *rows])


def _row(step: str, full: int, line: dict[str, Any] | None) -> str:
    if line is None:
        return f"| {step} | not run (full: {full}) | | | | | |"
    figures = line.get("figures", {})
    wrong = {name: figures[name] for name in ZEROS if figures.get(name)}
    zeros = ", ".join(f"{name} {count}" for name, count in wrong.items()) or "0" if "lost" in figures else ""
    p5 = figures.get("p5", {})
    live = f"{p5['slowest_seconds']} s of {p5['limit_seconds']:g} s" if p5 else ""
    cells = [step, f"{line['count']} of {full}", figures.get("commands", ""), zeros, _absorbed(figures), live, _verdict(line)]
    return "| " + " | ".join(map(str, cells)) + " |"


def _absorbed(figures: dict[str, Any]) -> str:
    if "chances" not in figures:
        return ""
    chances = figures["chances"]
    sent_twice = sum(chances["commands_sent_twice"].values())
    return (
        f"{chances['events_delivered_twice']} events, {sent_twice} commands, "
        f"{chances['requests_repeated_after_no_answer']} requests without answer"
    )


def _verdict(line: dict[str, Any]) -> str:
    if not line["passed"]:
        return "failed: " + str(line.get("error", ""))[:120].replace("|", "/").replace("\n", " ")
    return "passed" if line["figures"].get("p5", {}).get("kept", True) else "passed, P5's time missed"


def write(page: Path = PAGE) -> None:
    """Put the table between the page's marks."""
    text = page.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{table(last_lines())}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write()
