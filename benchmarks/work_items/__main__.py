"""B5, the command function: actions per second beside pgbench that writes the same rows.

    python -m benchmarks.work_items [--rounds 5] [--seconds 8] [--connections 16]

Each round runs, one after the other and in an order that turns: the command function, pgbench in as many round trips,
pgbench in one statement, the batch form. One PostgreSQL (fsync on) on this machine, and the clients beside it; the
outbox is emptied and the tables are vacuumed before every run. Writes results.json and results.md beside this file.
"""

import argparse
import asyncio
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.work_items.acting import CALLER, NOTE, OUTBOX, item_id
from domain.work_items import commands
from runtime.stack.postgres_programs import find_postgres
from schemas.work_items import ApplyAction, CreateWorkItem
from tests.infrastructure import databases, servers
from tests.infrastructure.databases import ClonedDatabase
from tests.waiting import until

ITEMS = 4000
AIM = 0.6
_HERE = Path(__file__).parent

Run = dict[str, float]


async def prepare(database: ClonedDatabase) -> tuple[int, int]:
    """Items in progress; the bytes of an action's event, headers and payload."""
    owner = await asyncpg.connect(database.url("migrate"))
    await owner.execute("insert into tenants (tenant_id, name) values ('bench', 'Bench')")
    await owner.execute("insert into users (tenant_id, user_id, display_name) values ('bench', 'an', 'An')")
    conn = await asyncpg.connect(database.url("api"))
    for n in range(1, ITEMS + 1):
        async with conn.transaction():
            await conn.execute("select set_config('app.tenant', 'bench', true)")
            await commands.create_work_item(conn, OUTBOX, CALLER, CreateWorkItem(work_item_id=item_id(n), title="Benchmark"))
            assign = ApplyAction(work_item_id=item_id(n), action="Assign", new_assignee_id="an", note=NOTE)
            await commands.apply_action(conn, OUTBOX, CALLER, assign)
    await conn.close()
    sizes = await owner.fetchrow(
        "select octet_length(headers) as h, octet_length(payload) as p from outbox_events "
        "where event_type = 'WORK_ITEM_STATUS_CHANGED' order by id desc limit 1"
    )
    await owner.close()
    assert sizes is not None
    return sizes["h"], sizes["p"]


async def calm(database: ClonedDatabase) -> None:
    """Every run begins with the same: an empty outbox, no dead rows, nothing to write back."""
    owner = await asyncpg.connect(database.url("superuser"))
    await owner.execute("truncate outbox_events")
    await owner.execute("vacuum analyze work_items")
    await owner.execute("checkpoint")
    await owner.close()


def backends_cpu(postmaster: int) -> float:
    """CPU seconds of all backends that a server has seen end."""
    fields = Path(f"/proc/{postmaster}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


async def postmaster_of(url: str) -> int:
    """The server's first process, as its own pid file says."""
    conn = await asyncpg.connect(url)
    pid: str = await conn.fetchval("select split_part(pg_read_file('postmaster.pid'), E'\\n', 1)")
    await conn.close()
    return int(pid)


async def all_ended(url: str) -> None:
    """A backend's CPU time is the postmaster's to tell only after its end."""
    conn = await asyncpg.connect(url)

    async def gone() -> bool:
        return not await conn.fetchval("select count(*) from pg_stat_activity where usename = 'cs_api'")

    await until(gone, what="the clients' backends to end")
    await conn.close()


def act(which: str, database: ClonedDatabase, seconds: float, connections: int) -> Run:
    role: databases.Role = "worker" if which == "batch" else "api"
    words = [which, database.url(role), database.url("migrate"), str(seconds), str(connections if which == "command" else 1)]
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.work_items.acting", *words], capture_output=True, text=True, check=True
    ).stdout
    said = json.loads(answer)
    per_action = {"cpu_ms": said["cpu"] / said["actions"] * 1000, "server_cpu_ms": said["server_cpu"] / said["actions"] * 1000}
    return {"per_second": said["actions"] / said["seconds"], **per_action}


def pgbench(
    script: str, database: ClonedDatabase, seconds: float, connections: int, event: tuple[int, int], postmaster: int
) -> Run:
    before, server = resource.getrusage(resource.RUSAGE_CHILDREN), backends_cpu(postmaster)
    answer = subprocess.run(
        [
            str(find_postgres().folder / "pgbench"),
            *("-n", "-M", "prepared", "-f", str(_HERE / f"{script}.pgbench.sql"), "-T", str(int(seconds) + 1)),
            *("-c", str(connections), "-j", "1", "--max-tries", "1"),
            *("-D", f"items={ITEMS}", "-D", f"headers={event[0]}", "-D", f"payload={event[1]}"),
            database.url("api"),
        ],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PGOPTIONS": "-c app.tenant=bench"},
    ).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = re.search(r"number of transactions actually processed: (\d+)", answer)
    rate = re.search(r"tps = ([\d.]+)", answer)
    assert done, answer
    assert rate, answer
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    asyncio.run(all_ended(database.url("superuser")))
    used = backends_cpu(postmaster) - server
    return {"per_second": float(rate[1]), "cpu_ms": cpu / int(done[1]) * 1000, "server_cpu_ms": used / int(done[1]) * 1000}


def compare(rounds: int, seconds: float, connections: int) -> dict[str, Any]:
    """Every run of every side."""
    load = os.getloadavg()[0]
    server = servers.provide_postgres()
    try:
        template = asyncio.run(databases.make_template(server.address))
        database = asyncio.run(databases.clone(server.address, template))
        event = asyncio.run(prepare(database))
        postmaster = asyncio.run(postmaster_of(server.address))
        sides: dict[str, Callable[[], Run]] = {
            "command": lambda: act("command", database, seconds, connections),
            "same_round_trips": lambda: pgbench("same_round_trips", database, seconds, connections, event, postmaster),
            "one_statement": lambda: pgbench("one_statement", database, seconds, connections, event, postmaster),
            "batch": lambda: act("batch", database, seconds, connections),
        }
        runs: dict[str, list[Run]] = {name: [] for name in sides}
        names = list(sides)
        for turn in range(rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                asyncio.run(calm(database))
                runs[name].append(sides[name]())
                print(f"round {turn + 1} {name}: {runs[name][-1]['per_second']:.0f}/s", file=sys.stderr)
    finally:
        server.close()
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "postgresql": find_postgres().version}
    event_bytes = {"headers": event[0], "payload": event[1]}
    return {
        "machine": machine,
        "load": load,
        "connections": connections,
        "seconds": seconds,
        "event_bytes": event_bytes,
        "runs": runs,
    }


def page(result: dict[str, Any]) -> str:
    """The result for people."""
    rates = {name: sorted(run["per_second"] for run in runs) for name, runs in result["runs"].items()}
    middle = {name: statistics.median(found) for name, found in rates.items()}
    cpu = {name: statistics.median(run["cpu_ms"] for run in runs) for name, runs in result["runs"].items()}
    server = {name: statistics.median(run["server_cpu_ms"] for run in runs) for name, runs in result["runs"].items()}
    pairs = zip(result["runs"]["command"], result["runs"]["same_round_trips"], strict=True)
    shares = sorted(ours["per_second"] / peer["per_second"] for ours, peer in pairs)
    share = statistics.median(shares)
    labels = {
        "command": "command function",
        "same_round_trips": "pgbench, the same rows in as many round trips",
        "one_statement": "pgbench, the same rows in one statement",
        "batch": "batch form, 200 actions in a transaction, 1 connection",
    }
    rows = [
        f"| {labels[name]} | {middle[name]:.0f} | {found[0]:.0f}-{found[-1]:.0f} | {cpu[name]:.3f} | {server[name]:.3f} |"
        for name, found in rates.items()
    ]
    machine, event = result["machine"], result["event_bytes"]
    verdict = "met" if share >= AIM else "not met"
    return f"""# Actions on work items: the command function

{result["connections"]} connections, {len(shares)} rounds of {result["seconds"]:g} s in turning order, {machine["cores"]} cores
shared by PostgreSQL {machine["postgresql"]} (fsync on) and the client; load when it began: {result["load"]:.1f};
an event of {event["headers"]} + {event["payload"]} bytes.

| | actions/s, median | lowest-highest | client CPU ms per action | server CPU ms per action |
|---|---|---|---|---|
{chr(10).join(rows)}

The command function does {share:.0%} (pairs: {shares[0]:.0%} to {shares[-1]:.0%}) of pgbench in as many round trips;
aim: at least {AIM:.0%}: {verdict}. It does {middle["command"] / middle["one_statement"]:.0%} of one statement; the batch form
does {middle["batch"] / middle["command"]:.1f} times the command function.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="B5, the command function")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    result = compare(options.rounds, options.seconds, options.connections)
    (_HERE / "results.json").write_text(json.dumps(result, indent=1) + "\n")
    (_HERE / "results.md").write_text(page(result))
    print(page(result))


if __name__ == "__main__":
    main()
