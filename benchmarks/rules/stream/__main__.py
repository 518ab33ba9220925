"""`python -m benchmarks.rules.stream [--pairs 3] [--events 40000] [--quick]`: B4, rules on a stream.

The same changes of leads from the same topic, ten rules of which one matches 1 % of them, or all (ground.py). What matches
writes a row of the log and a row of an effect. Alternated runs, one after the other on one machine:

ours               the rules group as in production: envelope and schema checked, inbox, one transaction for each batch
faust, quix        the same one by one: each event remembered, so that one that comes again is dropped, in its own transaction
... matches only   for comparison: nothing is remembered and nothing written but what matches, judged by hand-written Python
pgbench, event     the rows of a match in one statement, 16 connections
pgbench, batch     the rows of a thousand matches, made by the server itself in one transaction

Peers are installed from their own lock file into an environment of their own. `--quick` is for trying: one run of each, a tenth
of the events, and nothing is written. Results: results.json and results.md beside this file.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.rules.stream import ground
from benchmarks.rules.stream.running import Course, Figures, install_peers
from tests.infrastructure import databases, servers
from tests.infrastructure.topics import FreshKafka

RESULTS = Path(__file__).parent
AIM_OF_PEERS, AIM_EVENTS, AIM_OF_PGBENCH = 5.0, 19_000, 0.5
# One event at a time needs a flush of the log each: a peer that remembers gets fewer events, so that its run ends.
ONE_BY_ONE = 10
PGBENCH_SECONDS = 3
RARELY, ALWAYS = 99, 0
_PEER_TABLES = """
create table peer_log (like workflow_execution_logs including all);
create table peer_effects (like effects including all);
create table peer_inbox (like inbox including all)"""
_SIZES = """
select avg(octet_length(input_data))::int as input, avg(octet_length(output_data))::int as output,
       avg(octet_length(trace))::int as trace, (select avg(octet_length(request))::int from effects) as request
from workflow_execution_logs"""

Runs = dict[str, list[Figures]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    pairs, events = (1, asked.events // 10) if asked.quick else (asked.pairs, asked.events)
    install_peers()
    load = [round(each, 1) for each in os.getloadavg()]
    postgres, kafka = servers.provide_postgres(), servers.provide_kafka()
    try:
        runs = asyncio.run(_prepared(postgres.address, kafka.address, events))(pairs)
    finally:
        postgres.close()
        kafka.close()
    machine = {"cores": os.cpu_count(), "load": load, "kernel": platform.release(), "python": platform.python_version()}
    result = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine, "events": events, "runs": runs}
    if not asked.quick:
        (RESULTS / "results.json").write_text(json.dumps(result, indent=2) + "\n")
        (RESULTS / "results.md").write_text(page(result))
    print(page(result))
    return 0


async def _prepared(server: str, bootstrap: str, events: int) -> Callable[[int], dict[str, Runs]]:
    """A topic full of events, and a database for each share of matches; then every run of every side."""
    template, kafka = await databases.make_template(server), FreshKafka(bootstrap)
    await ground.fill(kafka, events)
    courses = {}
    for name, least in (("1 %", RARELY), ("100 %", ALWAYS)):
        database = await databases.clone(server, template)
        await ground.prepare(database, least)
        await _execute(database.url("superuser"), _PEER_TABLES)
        courses[name] = Course(database, kafka, bootstrap, least)

    def all_runs(pairs: int) -> dict[str, Runs]:
        return {"1 %": _rarely(courses["1 %"], events, pairs), "100 %": _always(courses["100 %"], events, pairs)}

    return all_runs


def _rarely(course: Course, events: int, pairs: int) -> Runs:
    few = max(events // ONE_BY_ONE, 1)
    sides: dict[str, Callable[[], Figures]] = {
        "ours": lambda: course.ours(events),
        "faust": lambda: course.peer("faust_agent", few, remember=True),
        "quix": lambda: course.peer("quix_app", few, remember=True),
        "faust, matches only": lambda: course.peer("faust_agent", events, remember=False),
        "quix, matches only": lambda: course.peer("quix_app", events, remember=False),
    }
    return _alternated(course, sides, pairs)


def _always(course: Course, events: int, pairs: int) -> Runs:
    course.ours(events)
    sizes = asyncio.run(_sizes(course))
    sides: dict[str, Callable[[], Figures]] = {
        "ours": lambda: course.ours(events),
        "pgbench, event": lambda: course.pgbench("one_event", PGBENCH_SECONDS, sizes),
        "pgbench, batch": lambda: course.pgbench("batch", PGBENCH_SECONDS, sizes),
    }
    return _alternated(course, sides, pairs)


def _alternated(course: Course, sides: dict[str, Callable[[], Figures]], pairs: int) -> Runs:
    """Each side in turn; the order turns too, so that none always follows the same one."""
    runs: Runs = {name: [] for name in sides}
    for number in range(pairs):
        for name in list(sides) if number % 2 == 0 else reversed(sides):
            asyncio.run(_empty(course))
            runs[name].append({key: round(value, 1) for key, value in sides[name]().items()})
            print(f"{name}: {runs[name][-1]}", file=sys.stderr, flush=True)
    return runs


async def _empty(course: Course) -> None:
    await ground.empty(course.database.url("superuser"))
    await _execute(course.database.url("superuser"), "truncate peer_log, peer_effects, peer_inbox")


async def _sizes(course: Course) -> dict[str, int]:
    """What our rows hold, byte for byte, so that pgbench writes as much."""
    conn = await asyncpg.connect(course.database.url("superuser"))
    try:
        return dict(await conn.fetchrow(_SIZES) or {})
    finally:
        await conn.close()


async def _execute(url: str, statement: str) -> None:
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(statement)
    finally:
        await conn.close()


def page(result: dict[str, Any]) -> str:
    """The figures as a page."""
    machine, rarely, always = result["machine"], result["runs"]["1 %"], result["runs"]["100 %"]
    ours = statistics.median(one["events_per_second"] for one in rarely["ours"])
    return f"""# Rules on a stream

<!-- Written by `python -m benchmarks.rules.stream` ({result["when"]}); its docstring says what is compared. -->

{result["events"]:,} events, {machine["cores"]} cores shared by PostgreSQL (fsync on), Kafka and whoever reads; load when it
began {machine["load"][0]}; {len(rarely["ours"])} alternated runs of each.

## One event of a hundred matches

{_table(rarely)}

| ours, run by run, against | median | least | most | aim |
|---|---|---|---|---|
{_against(rarely, {"faust": AIM_OF_PEERS, "quix": AIM_OF_PEERS, "faust, matches only": None, "quix, matches only": None})}

{ours:,.0f} events/s; aim {AIM_EVENTS:,}: {_verdict(ours, AIM_EVENTS)}.

## Every event matches

{_table(always)}

| ours, run by run, against | median | least | most | aim |
|---|---|---|---|---|
{_against(always, {"pgbench, event": AIM_OF_PGBENCH, "pgbench, batch": None})}
"""


def _table(runs: Runs) -> str:
    head = "| | events/s, median | least | most | events per CPU second of the reader |\n|---|---|---|---|---|\n"
    return head + "\n".join(_row(name, kept) for name, kept in runs.items())


def _row(name: str, kept: list[Figures]) -> str:
    rates = [one["events_per_second"] for one in kept]
    cpu = [one["events_per_cpu_second"] for one in kept if "events_per_cpu_second" in one]
    middle = f"{statistics.median(cpu):,.0f}" if cpu else ""
    return f"| {name} | {statistics.median(rates):,.0f} | {min(rates):,.0f} | {max(rates):,.0f} | {middle} |"


def _against(runs: Runs, aims: dict[str, float | None]) -> str:
    rows = []
    for name, aim in aims.items():
        pairs = zip(runs["ours"], runs[name], strict=True)
        ratios = [mine["events_per_second"] / other["events_per_second"] for mine, other in pairs]
        middle = statistics.median(ratios)
        wanted = "" if aim is None else f"{aim:g}: {_verdict(middle, aim)}"
        rows.append(f"| {name} | {middle:.2f} | {min(ratios):.2f} | {max(ratios):.2f} | {wanted} |")
    return "\n".join(rows)


def _verdict(found: float, aim: float) -> str:
    return "met" if found >= aim else "not met"


if __name__ == "__main__":
    sys.exit(main())
