"""`python -m benchmarks.rules.latency [--rounds 3] [--seconds 30] [--quick]`: commit of a change to first webhook byte.

Processes as in production, one each (relay, workflow-engine, effects), on a PostgreSQL (fsync on) and a broker of their own.
A writer commits 200 changes a second through the publish door's command, one in each transaction; each is of a lead of its
own and meets one rule with one webhook; a receiver on the loopback notes the first byte of each call. After five seconds to
warm up the rest is cut into rounds. `--quick` is for trying: one round of five seconds, and nothing is written.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.relay.processes import usage
from domain.rules.commands import Saved, Wish, create_rule
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.domain.world import World as Database
from tests.integration.domain.world import caller
from tests.integration.rules.house import action
from tests.torture.system.lives import TENANTS
from tests.torture.system.world import World, world

RESULTS = Path(__file__).parent
RATE, WARM_UP_SECONDS, REST_SECONDS = 200, 5, 3
ROLES = ("relay", "workflow-engine", "effects")
TOPICS = ("crm.entity.", "rules.", "effects.")
AIMS = {"p50_ms": 30, "p99_ms": 150}
_PARTS = [sys.executable, "-m", "benchmarks.rules.latency.parts"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    rounds, seconds = (1, 5) if asked.quick else (asked.rounds, asked.seconds)
    result = _measure(rounds, seconds)
    if not asked.quick:
        (RESULTS / "results.json").write_text(json.dumps(result, indent=2) + "\n")
        (RESULTS / "results.md").write_text(page(result))
    print(page(result))
    return 0


def _measure(rounds: int, seconds: int) -> dict[str, Any]:
    load = [round(each, 1) for each in os.getloadavg()]
    total = RATE * (WARM_UP_SECONDS + rounds * seconds)
    receiver = subprocess.Popen([*_PARTS, "hear"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert receiver.stdout is not None
        at, cpu = asyncio.run(_drive(int(receiver.stdout.readline()), total))
    finally:
        came: dict[str, int] = json.loads(receiver.communicate()[0])
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "load": load, "kernel": platform.release(), "python": platform.python_version()},
        "rate": RATE,
        "seconds": seconds,
        "aims": AIMS,
        "rounds": [_round(at, came, number, seconds) for number in range(rounds)],
        "cpu_share": cpu,
        "never_heard": total - len(came),
    }


async def _drive(port: int, total: int) -> tuple[dict[str, int], dict[str, float]]:
    """When each change was committed, and what our processes used of a core meanwhile."""
    targets = f'["127.0.0.1:{port}"]'
    async with world(1, ROLES, TOPICS, CASESTREAM_OUTBOUND__DEVELOPMENT_TARGETS=targets) as made:
        await _write_rules(made, port)
        before, began = _cpu(made), time.monotonic()
        words = [*_PARTS, "write", made.postgres.url(user="cs_api"), str(RATE), str(total)]
        done = await asyncio.to_thread(subprocess.run, words, check=True, capture_output=True, text=True)
        busy, after = time.monotonic() - began, _cpu(made)
        await asyncio.sleep(REST_SECONDS)
    return json.loads(done.stdout), {name: round((after[name] - before[name]) / busy, 2) for name in after}


async def _write_rules(made: World, port: int) -> None:
    database = Database(ClonedDatabase("postgres", made.postgres.url()))
    hook = action("CALL_WEBHOOK", {"url": f"http://127.0.0.1:{port}/hook/{{{{number}}}}", "bodyTemplate": {"name": "{{name}}"}})
    website = {"fieldName": "leadSource", "operator": "EQUALS", "value": "WEBSITE", "valueType": "STRING"}
    document = {"name": "hot", "triggerType": "ON_CREATE", "entityType": "LEAD", "actions": [hook], "conditions": [website]}
    try:
        for tenant in TENANTS:
            async with database.api(tenant) as conn:
                saved = await create_rule(conn, caller("rule-editor", tenant_id=tenant), document, Wish(), most=100)
            assert isinstance(saved, Saved), saved
    finally:
        await database.close()


def _cpu(made: World) -> dict[str, float]:
    return {name: usage(pid).cpu_seconds for name, pid in made.fleet.pids().items()}


def _round(at: dict[str, int], came: dict[str, int], number: int, seconds: int) -> dict[str, float]:
    first = RATE * (WARM_UP_SECONDS + number * seconds)
    numbers = [str(one) for one in range(first, first + RATE * seconds)]
    delays = sorted((came[one] - at[one]) / 1e6 for one in numbers if one in came)
    percentiles = statistics.quantiles(delays, n=1000)
    achieved = (len(numbers) - 1) / ((at[numbers[-1]] - at[numbers[0]]) / 1e9)
    return {
        "changes": len(numbers),
        "heard": len(delays),
        "achieved_per_second": round(achieved),
        "p50_ms": round(percentiles[499], 1),
        "p95_ms": round(percentiles[949], 1),
        "p99_ms": round(percentiles[989], 1),
        "worst_ms": round(delays[-1], 1),
    }


def page(result: dict[str, Any]) -> str:
    """The figures as a page."""
    rounds = result["rounds"]
    rows = "\n".join(
        f"| {number} | {' | '.join(str(value) for value in one.values())} |" for number, one in enumerate(rounds, 1)
    )
    said = []
    for name, aim in result["aims"].items():
        values = [one[name] for one in rounds]
        middle = statistics.median(values)
        verdict = "met" if middle <= aim else "not met"
        said.append(f"{name.replace('_ms', '')} {middle:g} ms ({min(values):g} to {max(values):g}), aim {aim} ms: {verdict}")
    shares = ", ".join(f"{name} {share:.0%}" for name, share in result["cpu_share"].items())
    machine = result["machine"]
    return f"""# From a commit to the first byte of a webhook

<!-- Written by `python -m benchmarks.rules.latency` ({result["when"]}); its docstring says what is measured. -->

{result["rate"]} changes a second, {machine["cores"]} cores shared by servers, three of our processes, writer and receiver;
load when it began {machine["load"][0]}. {"; ".join(said)}. Never heard: {result["never_heard"]}. CPU of one core: {shares}.

| round | {" | ".join(name.replace("_", " ") for name in rounds[0])} |
|---|{"---|" * len(rounds[0])}
{rows}
"""


if __name__ == "__main__":
    sys.exit(main())
