"""B5 over HTTP: actions per second through the door, beside a bare FastAPI route that writes the same rows.

    python -m benchmarks.http [--pairs 5] [--seconds 8] [--connections 16]

Each pair runs the peer and the door one after the other, in alternating order, on one PostgreSQL (fsync on), with the
client on the same machine. Writes results.json and results.md beside this file.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from api.transactions import transaction
from benchmarks.http.report import write
from domain.outbox import Outbox
from domain.work_items import commands
from runtime.postgres import open_pool
from runtime.settings import Settings
from runtime.stack.home import Home
from runtime.stack.issuer import create_issuer, sign
from runtime.stack.state import development_issuer
from schemas.caller import Caller
from schemas.work_items import ApplyAction, CreateWorkItem
from tests.infrastructure import databases, servers

TENANT, USER = "bench", "an"
ACTIONS = ("SetWaitingCustomer", "BackToInProgress")
_CALLER = Caller(TENANT, USER, frozenset({"agent"}), "CRM_UI")


async def prepare(settings: Settings, connections: int) -> list[str]:
    """A tenant, a user, and one item in progress per connection; their ids."""
    owner = await asyncpg.connect(settings.database_url.get_secret_value())
    await owner.execute("insert into tenants (tenant_id, name) values ($1, $1) on conflict do nothing", TENANT)
    await owner.execute(
        "insert into users (tenant_id, user_id, display_name) values ($1, $2, $2) on conflict do nothing", TENANT, USER
    )
    await owner.execute("truncate outbox_events")
    await owner.execute("vacuum analyze")
    await owner.close()
    outbox, ids = Outbox("benchmark"), [str(uuid4()) for _ in range(connections)]
    async with await open_pool(settings, "api") as pool, transaction(pool, TENANT) as conn:
        for item in ids:
            await commands.create_work_item(conn, outbox, _CALLER, CreateWorkItem(work_item_id=item, title="Benchmark"))
            await commands.apply_action(conn, outbox, _CALLER, ApplyAction(work_item_id=item, action="StartWork"))
    return ids


def requests(item: str, token: str) -> list[str]:
    """The two actions between which an item goes to and fro."""
    return [_request(item, token, json.dumps({"action": action, "note": "A note of usual length."})) for action in ACTIONS]


def _request(item: str, token: str, body: str) -> str:
    return (
        f"POST /api/crm/work-items/{item}/actions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )


@contextmanager
def serving(which: str, environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """A server process: its port and pid."""
    command = [sys.executable, "-m", "benchmarks.http.serving", which]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


def run_once(which: str, environment: dict[str, str], token: str, connections: int, seconds: float) -> dict[str, Any]:
    """One measured run of one side."""
    ids = asyncio.run(prepare(Settings.load(environment), connections))
    with serving(which, {**os.environ, **environment}) as (port, pid):
        orders = {"port": port, "lists": [requests(item, token) for item in ids], "warm": 2.0, "seconds": seconds}
        client = [sys.executable, "-m", "benchmarks.http.client"]
        before = cpu_ms(pid)
        done = subprocess.run(client, input=json.dumps(orders), capture_output=True, text=True, check=True)
        result: dict[str, Any] = json.loads(done.stdout)
        if result["failed"]:
            raise SystemExit(f"{which} answered with a failure:\n{result['failures'][0]}")
        # Neighbours on the machine disturb this least.
        result["cpu_ms"] = (cpu_ms(pid) - before) / result["answered"]
        result["rss_mb"] = rss_mb(pid)
    return result


def cpu_ms(pid: int) -> float:
    """CPU time of a process so far."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK") * 1000


def rss_mb(pid: int) -> float:
    """Memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Median and spread of one side's runs."""
    rates = [run["per_second"] for run in runs]
    return {
        "per_second": {"median": statistics.median(rates), "lowest": min(rates), "highest": max(rates)},
        "p50_ms": statistics.median(run["p50_ms"] for run in runs),
        "p99_ms": {"median": statistics.median(run["p99_ms"] for run in runs), "highest": max(run["p99_ms"] for run in runs)},
        "cpu_ms": statistics.median(run["cpu_ms"] for run in runs),
        "rss_mb": max(run["rss_mb"] for run in runs),
    }


def main() -> None:
    """The comparison."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--dry", action="store_true", help="print, and write no result")
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    server = servers.provide_postgres()
    with tempfile.TemporaryDirectory() as folder:
        try:
            name = asyncio.run(databases.make_template(server.address))
            home = Home(Path(folder), Path(folder))
            issuer = create_issuer(home)
            token = sign({"sub": USER, "tenant": TENANT, "roles": ["agent"]}, issuer)
            environment = {
                "DATABASE_URL": databases.ClonedDatabase(name, server.address).url("migrate"),
                "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
                "CASESTREAM_JWT_ISSUERS": json.dumps([development_issuer(home)]),
                "CASESTREAM_HTTP__PORT": "0",
            }
            runs: dict[str, list[dict[str, Any]]] = {"peer": [], "door": []}
            for pair in range(chosen.pairs):
                for which in ("peer", "door") if pair % 2 == 0 else ("door", "peer"):
                    runs[which].append(run_once(which, environment, token, chosen.connections, chosen.seconds))
                    print(pair + 1, which, json.dumps(runs[which][-1]), flush=True)
        finally:
            server.close()
    result: dict[str, Any] = {"load": load, "connections": chosen.connections, "seconds": chosen.seconds, "pairs": chosen.pairs}
    result |= {which: summary(of_one) for which, of_one in runs.items()} | {"runs": runs}
    if chosen.dry:
        print(json.dumps({which: result[which] for which in runs}, indent=1))
    else:
        write(result)


if __name__ == "__main__":
    main()
