"""`python -m benchmarks.rebuild [--snapshots N] [--rounds N] [--live N] [--workers N]`: B7, a rebuild beside a straight line.

N encrypted snapshots of 1.1 kB become ten columns with a primary key, three ways in turn on one machine: a straight-line
script (read, decrypt, parse, COPY) in two processes, `casestream projection rebuild --from store` and `--from topic` with two
worker processes. While each runs, --live snapshots per second are stored, relayed and shown by the serving version, and a
reader asks for them: its errors and the staleness are counted. Rows of all three are compared.

Rates are N over the time from the first row taken to the last one written, as the processes' own rows in PostgreSQL say;
starting interpreters does not count on either side. Results: benchmarks/results/rebuild.json. The table keeps the last full
run; `--snapshots 50000` is for trying, and writes nothing.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.rebuild import ground, straight
from benchmarks.rebuild.processes import Process, casestream, program
from runtime.settings import Settings
from tests.infrastructure import databases, servers
from tests.infrastructure.scratch import new_scratch
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

RESULTS = Path(__file__).parents[1] / "results" / "rebuild.json"
FULL = 1_000_000
AIMS = {
    "store_per_second": 25_000,
    "topic_per_second": 20_000,
    "of_straight": 0.5,
    "staleness_p99_ms": 1_000,
    "reader_errors": 0,
    "worker_mb": 300,
}
_LOOK_SECONDS = 0.2
_LONGEST_SECONDS = 1_800


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snapshots", type=int, default=FULL)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--live", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    postgres, kafka, home = servers.provide_postgres(), servers.provide_kafka(), new_scratch()
    try:
        result = asyncio.run(Bench(postgres.address, FreshKafka(kafka.address), home, asked).run())
    finally:
        postgres.close()
        kafka.close()
        shutil.rmtree(home, ignore_errors=True)
    print(json.dumps(result, indent=2))
    if asked.snapshots >= FULL:
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    return 0


class Bench:
    """One run: the ground once, then so many rounds of the three ways."""

    def __init__(self, server: str, kafka: FreshKafka, home: Path, asked: argparse.Namespace) -> None:
        self._server, self._kafka, self._home, self._asked = server, kafka, home, asked
        self._conn: asyncpg.Connection

    async def run(self) -> dict[str, Any]:
        database = await databases.clone(self._server, await databases.make_template(self._server))
        keys = await databases.clone_keys(database, await databases.make_keys_template(self._server))
        self._environ = ground.environ_of(database, keys, self._kafka, self._home)
        settings = Settings.load(self._environ)
        began = time.monotonic()
        size = await ground.prepare(settings, database, self._kafka, self._asked.snapshots)
        print(f"prepared {self._asked.snapshots} snapshots of {size} bytes in {time.monotonic() - began:.0f} s", flush=True)
        self._conn = await asyncpg.connect(database.url("superuser"))
        relay, ddl = casestream(self._environ, "run", "relay"), casestream(self._environ, "run", "ddl")
        with relay, ddl, casestream(self._environ, "run", f"projections.{ground.TABLE}.v1") as serving:
            runs = await self._rounds(serving)
        await self._conn.close()
        await self._kafka.delete_topics()
        return await self._report(runs, size)

    async def _rounds(self, serving: Process) -> list[dict[str, Any]]:
        runs = []
        for number in range(self._asked.rounds):
            ways: list[tuple[str, Callable[[], Any]]] = [
                ("straight", self._straight),
                ("store", lambda: self._ours("store")),
                ("topic", lambda: self._ours("topic")),
            ]
            for name, way in ways if number % 2 == 0 else [ways[0], ways[2], ways[1]]:
                await self._conn.execute("checkpoint")
                with program(self._environ, "benchmarks.rebuild.live", str(self._asked.live), stdin=True) as live:
                    await until(self._live_is_shown(), 60, "the serving version to show live snapshots")
                    run = await way()
                    run = {"way": name, **run, "live": json.loads(await asyncio.to_thread(live.finish))}
                run["serving_mb"] = serving.peak_mb()
                runs.append(run)
                print(json.dumps(run), flush=True)
        return runs

    def _live_is_shown(self) -> Callable[[], Any]:
        """Whether a snapshot is shown that was stored after this moment."""
        asked_at = datetime.now(UTC)

        async def shown() -> bool:
            query = f"select exists (select from analytics.{ground.TABLE} where created_at > $1)"
            return bool(await self._conn.fetchval(query, asked_at))

        return shown

    async def _straight(self) -> dict[str, Any]:
        await self._conn.execute(
            f"drop table if exists {straight.TABLE}; create table {straight.TABLE} (like projections.{ground.TABLE}__v1); "
            f"alter table {straight.TABLE} add primary key (tenant_id, case_id)"
        )
        bounds = await self._conn.fetchrow("select min(seq), max(seq) from sys_case_data_store where case_id like 'order-%'")
        assert bounds is not None
        first, last = bounds
        parts = self._asked.workers
        cuts = [first + (last - first + 1) * part // parts for part in range(parts + 1)]
        processes = [
            program(self._environ, "benchmarks.rebuild.straight", str(low), str(high - 1)) for low, high in pairwise(cuts)
        ]
        told = [json.loads(await asyncio.to_thread(one.finish)) for one in processes]
        seconds = max(one["ended"] for one in told) - min(one["began"] for one in told)
        rows = sum(one["rows"] for one in told)
        return {
            "per_second": round(rows / seconds),
            "seconds": round(seconds, 1),
            "worker_mb": max(one["peak_mb"] for one in told),
        }

    async def _ours(self, source: str) -> dict[str, Any]:
        words = ["projection", "rebuild", ground.TABLE, "--from", source, "--workers", str(self._asked.workers), "--execute"]
        asked_at: datetime = await self._conn.fetchval("select cs_now()")
        with casestream(self._environ, *words, "--reason", "benchmark") as ordered:
            first = last = None
            deadline = time.monotonic() + _LONGEST_SECONDS
            while ordered.is_running():
                if time.monotonic() > deadline:
                    raise SystemExit(f"the rebuild from {source} did not end: {ordered.said()}")
                at, (taken, done) = time.monotonic(), await self._progress(source, asked_at)
                first = first or ((at, taken) if taken else None)
                last = last or ((at, taken) if done else None)
                ordered.look_at_children()
                await asyncio.sleep(_LOOK_SECONDS)
            if first is None or last is None or ordered.code() != 0:
                raise SystemExit(f"the rebuild from {source} failed: {ordered.said()}")
        row = await self._conn.fetchrow("select * from rebuilds order by ordered_at desc limit 1")
        assert row is not None
        seconds, taken = last[0] - first[0], last[1] - first[1]
        return {
            # The first batch is not counted, neither its rows nor its time; a run of few batches has no rate.
            "per_second": round(taken / seconds) if taken > 0 else 0,
            "seconds": round(seconds, 1),
            "ready_after_seconds": round((row["finished_at"] - row["ordered_at"]).total_seconds(), 1),
            "errors": row["errors"],
            "worker_mb": ordered.children_peak_mb(),
            # Of the workers alone; from the topic live snapshots are in it too.
            "worker_cpu_us": round(ordered.children_cpu_seconds() / last[1] * 1e6, 1),
            "different_rows": await self._differences(row["version"]),
        }

    async def _progress(self, source: str, asked_at: datetime) -> tuple[int, bool]:
        """How many snapshots were taken, and whether everything that was there at the order is written."""
        row = await self._conn.fetchrow(_PROGRESS[source], asked_at)
        assert row is not None
        return row[0], row[1]

    async def _differences(self, version: int) -> int:
        """Rows that the straight line and the rebuild do not share; live ones apart."""
        table = f"(select * from projections.{ground.TABLE}__v{version} where case_id like 'order-%')"
        one, other = (
            f"select * from {table} a except select * from {straight.TABLE}",
            f"select * from {straight.TABLE} except select * from {table} a",
        )
        found: int = await self._conn.fetchval(f"select (select count(*) from ({one}) x) + (select count(*) from ({other}) y)")
        return found

    async def _report(self, runs: list[dict[str, Any]], size: int) -> dict[str, Any]:
        medians = {
            way: statistics.median(run["per_second"] for run in runs if run["way"] == way)
            for way in ("straight", "store", "topic")
        }
        return {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {
                "cores": os.cpu_count(),
                "load": [round(load, 1) for load in os.getloadavg()],
                "kernel": platform.release(),
            },
            "python": platform.python_version(),
            "snapshots": self._asked.snapshots,
            "document_bytes": size,
            "columns": 10,
            "workers": self._asked.workers,
            "live_per_second": self._asked.live,
            "aims": AIMS,
            "per_second": medians,
            "of_straight": {way: round(medians[way] / medians["straight"], 2) for way in ("store", "topic")},
            "runs": runs,
        }


# The one that this run ordered, not the one before it.
_LAST = "rebuild_id = (select rebuild_id from rebuilds where ordered_at > $1 order by ordered_at desc limit 1)"
_PROGRESS = {
    "store": (f"select coalesce(sum(scanned), 0)::bigint, coalesce(bool_and(done), false) from rebuild_slices where {_LAST}"),
    "topic": (
        "select coalesce(sum(c.next - o.begins), 0)::bigint, coalesce(bool_and(c.next >= o.noted), false) "
        "from rebuild_offsets o join rebuilds using (rebuild_id) join consumer_offsets c on c.topic = o.topic "
        f"and c.partition = o.partition and c.group_name = 'projections.' || name || '.v' || version where {_LAST}"
    ),
}


if __name__ == "__main__":
    sys.exit(main())
