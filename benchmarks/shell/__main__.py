"""`python -m benchmarks.shell [--events N] [--pairs N]`: the shell beside the bare loop, and two processes beside one.

Alternated pairs on one topic and one database, emptied before each run; both must leave the same rows (compared by hash).
Results go to benchmarks/results/shell.json. Quote ratios of one run, never an absolute figure of another.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiokafka
import asyncpg

from benchmarks.shell import ground
from tests.infrastructure import databases, servers
from tests.infrastructure.topics import FreshKafka

RESULTS = Path(__file__).parents[1] / "results" / "shell.json"
AIM_OF_BARE, AIM_EVENTS, AIM_TWO = 0.60, 27_000, 1.7


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--pairs", type=int, default=5)
    asked = parser.parse_args()
    postgres, kafka = servers.provide_postgres(), servers.provide_kafka()
    try:
        result = _measure(postgres.address, kafka.address, asked.events, asked.pairs)
    finally:
        postgres.close()
        kafka.close()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["medians"], indent=2))
    return 0


def _measure(server: str, bootstrap: str, events: int, pairs: int) -> dict[str, Any]:
    database, kafka = asyncio.run(_prepare(server, bootstrap, events))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CASESTREAM_")} | {
        "DATABASE_URL": database.url("migrate"),
        "BARE_DATABASE_URL": database.url("superuser"),
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "CASESTREAM_TOPIC_PREFIX": kafka.prefix,
    }
    runs: dict[str, list[dict[str, float]]] = {"bare": [], "one": [], "two": []}
    digests = set()
    for _ in range(pairs):
        for name, programs in (
            ("bare", [["benchmarks.shell.bare", str(events)]]),
            ("one", [["benchmarks.shell.ours", "bench-0", str(events)]]),
            ("two", [["benchmarks.shell.ours", f"bench-{number}", str(events)] for number in range(2)]),
        ):
            asyncio.run(ground.empty(database.url("superuser")))
            runs[name].append(_run(environ, programs, events, database.url("superuser")))
            digests.add(asyncio.run(ground.digest(database.url("superuser"))))
            print(name, {key: round(value, 1) for key, value in runs[name][-1].items()}, flush=True)
    if len(digests) != 1:
        raise SystemExit(f"the runs left different rows: {digests}")
    asyncio.run(kafka.delete_topics())
    return _report(runs, events, pairs, asyncio.run(_server_version(server)))


async def _prepare(server: str, bootstrap: str, events: int) -> tuple[databases.ClonedDatabase, FreshKafka]:
    database = await databases.clone(server, await databases.make_template(server))
    kafka = FreshKafka(bootstrap)
    await ground.prepare(database.url("superuser"))
    await ground.fill(kafka, events)
    return database, kafka


def _run(environ: dict[str, str], programs: list[list[str]], events: int, url: str) -> dict[str, float]:
    """Events per second from the first commit to the last one, over all processes of the run."""
    started = [
        subprocess.Popen([sys.executable, "-m", *program], env=environ, stdout=subprocess.PIPE, text=True)
        for program in programs
    ]
    if len(started) > 1:
        # Neither knows when the other one has read the rest: the positions do.
        asyncio.run(ground.all_read(url, events))
        for process in started:
            process.terminate()
    found = [json.loads(process.communicate(timeout=600)[0].splitlines()[-1]) for process in started]
    busy = [one for one in found if one["read"]]
    seconds = max(one["last"] for one in busy) - min(one["first"] for one in busy)
    return {
        "events_per_second": events / seconds,
        "events_per_cpu_second": events / sum(one["cpu"] for one in busy),
        "rss_mb": max(one["rss"] for one in found) / 2**20,
    }


def _report(runs: dict[str, list[dict[str, float]]], events: int, pairs: int, server: str) -> dict[str, Any]:
    medians = {
        name: {measure: round(statistics.median(one[measure] for one in kept), 1) for measure in kept[0]}
        for name, kept in runs.items()
    }
    of_bare = [
        one["events_per_second"] / bare["events_per_second"] for one, bare in zip(runs["one"], runs["bare"], strict=True)
    ]
    two = [both["events_per_second"] / one["events_per_second"] for both, one in zip(runs["two"], runs["one"], strict=True)]
    medians["ratios"] = {
        "one_of_bare": round(statistics.median(of_bare), 3),
        "one_of_bare_by_cpu": round(medians["one"]["events_per_cpu_second"] / medians["bare"]["events_per_cpu_second"], 3),
        "two_of_one": round(statistics.median(two), 3),
    }
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "load": [round(load, 1) for load in os.getloadavg()],
            "kernel": platform.release(),
        },
        "versions": {"python": platform.python_version(), "aiokafka": aiokafka.__version__, "asyncpg": asyncpg.__version__}
        | {"postgresql": server},
        "events": events,
        "value_bytes": ground.VALUE_BYTES,
        "pairs": pairs,
        "aims": {"one_of_bare": AIM_OF_BARE, "events_per_second": AIM_EVENTS, "two_of_one": AIM_TWO},
        "medians": medians,
        "runs": {name: [{key: round(value, 1) for key, value in one.items()} for one in kept] for name, kept in runs.items()},
    }


async def _server_version(server: str) -> str:
    conn = await asyncpg.connect(server)
    try:
        return str(await conn.fetchval("show server_version"))
    finally:
        await conn.close()


if __name__ == "__main__":
    sys.exit(main())
