"""`python -m benchmarks.onboarding_pages [--events 1000000] [--requests 300]`: status and pages beside long histories.

One database holds the shapes of `histories`: one instance of a million events, a million events of many instances, and one
instance with a large folded row. The HTTP door is a process as in production, with a token that is proved each time; one client
asks one thing after the other over one connection, so each figure holds the client's own time too. All is warm.

Aims: status p99 at most 20 ms, a timeline's page at most 50 ms. Exit code 1 when one is missed.

Results: benchmarks/onboarding_pages/results.json and results.md.
"""

import argparse
import asyncio
import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.onboarding_pages.histories import TENANT, fill
from runtime.stack.home import Home
from runtime.stack.issuer import create_issuer, sign
from runtime.stack.state import development_issuer
from tests.infrastructure import databases, servers
from tests.infrastructure.keys import key_environment

RESULTS = Path(__file__).parent
ADMIN, STATUS = "/admin/onboarding", "/api/onboarding/{}/status"
AIMS = {"status": 20.0, "timeline": 50.0}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=300)
    asked = parser.parse_args()
    server = servers.provide_postgres()
    with tempfile.TemporaryDirectory() as folder:
        try:
            database = asyncio.run(_made(server.address))
            rows = asyncio.run(_filled(database, asked.events))
            with _serving(database, Path(folder)) as (port, token):
                runs = [_measured(port, token, name, path, asked.requests) for name, path in _pages(asked.events)]
        finally:
            server.close()
    result: dict[str, Any] = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "load": [round(load, 1) for load in os.getloadavg()]},
        "python": platform.python_version(),
        "rows": rows,
        "runs": runs,
    }
    (RESULTS / "results.json").write_text(json.dumps(result, indent=2) + "\n")
    (RESULTS / "results.md").write_text(page(result))
    print(page(result))
    return 0 if all(run["p99_ms"] <= AIMS.get(run["page"].partition(",")[0], 1e9) for run in runs) else 1


def _pages(events: int) -> list[tuple[str, list[str]]]:
    """Pages by name, each with the addresses that are asked in turn."""
    many = [f"i-{number}" for number in range(1, events // 100, 37)]
    long = f"{ADMIN}/one/timeline?limit=100"
    return [
        ("status, many instances", [STATUS.format(name) for name in many]),
        ("status, one of a million events", [STATUS.format("one")]),
        ("status, a large folded row", [STATUS.format("deep")]),
        ("timeline, many instances", [f"{ADMIN}/{name}/timeline" for name in many]),
        ("timeline, first page of a million events", [long]),
        ("timeline, latest page of a million events", [f"{long}&order=newest"]),
        ("timeline, page after page of a million events", ["NEXT", long]),
        ("list, first page", [ADMIN]),
        ("list, of a status, 100 pages on", [f"{ADMIN}?status=COMPLETED&page=100&size=20"]),
        ("details, one of a million events", [f"{ADMIN}/one"]),
        ("details, a large folded row", [f"{ADMIN}/deep"]),
        ("incidents", [f"{ADMIN}/incidents"]),
        ("dashboard", [f"{ADMIN}/dashboard"]),
    ]


@contextmanager
def _serving(database: databases.ClonedDatabase, folder: Path) -> Iterator[tuple[int, str]]:
    """A door's port, and a token for it."""
    home = Home(folder, folder)
    token = sign({"sub": "root", "tenant": TENANT, "roles": ["admin"]}, create_issuer(home))
    environment = {
        **os.environ,
        **key_environment(database),
        "DATABASE_URL": database.url("migrate"),
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "CASESTREAM_JWT_ISSUERS": json.dumps([development_issuer(home)]),
        "CASESTREAM_HTTP__PORT": "0",
    }
    command = [sys.executable, "-m", "benchmarks.onboarding_pages.serving"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), token
        finally:
            process.kill()


def _measured(port: int, token: str, name: str, paths: list[str], requests: int) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": f"Bearer {token}"}
    follows, first = paths[0] == "NEXT", paths[-1]
    took, address_of_next = [], first
    for number in range(requests + 20):
        path = address_of_next if follows else paths[number % len(paths)]
        began = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        took.append((time.perf_counter() - began) * 1000)
        if answer.status != 200:
            raise SystemExit(f"{path} answered {answer.status}: {body[:300]!r}")
        if follows:
            cursor = json.loads(body)["nextCursor"]
            address_of_next = f"{first}&cursor={cursor}" if cursor else first
    measured = took[20:]
    return {
        "page": name,
        "requests": len(measured),
        "bytes": len(body),
        "p50_ms": round(statistics.median(measured), 1),
        "p99_ms": round(statistics.quantiles(measured, n=100)[98], 1),
        "most_ms": round(max(measured), 1),
    }


async def _made(address: str) -> databases.ClonedDatabase:
    database = await databases.clone(address, await databases.make_template(address))
    await databases.clone_keys(database, await databases.make_keys_template(address))
    return database


async def _filled(database: databases.ClonedDatabase, events: int) -> dict[str, int]:
    owner = await asyncpg.connect(database.url("superuser"))
    try:
        return await fill(owner, events)
    finally:
        await owner.close()


def page(result: dict[str, Any]) -> str:
    """The results for people."""
    rows, machine = result["rows"], result["machine"]
    counted = f"{rows['workflow_event']:,} events and {rows['step_execution']:,} attempts of {rows['instances']:,} instances"
    lines = [
        "# Pages of onboarding beside long histories",
        "",
        f"<!-- Written by `python -m benchmarks.onboarding_pages` ({result['when']}); its docstring says what is measured. -->",
        "",
        f"{counted}; {machine['cores']} cores, load before {machine['load'][0]}, Python {result['python']}.",
        f"Aims: status p99 {AIMS['status']:g} ms, a timeline's page {AIMS['timeline']:g} ms.",
        "",
        "| page | p50 ms | p99 ms | most ms | bytes |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {run['page']} | {run['p50_ms']} | {run['p99_ms']} | {run['most_ms']} | {run['bytes']:,} |" for run in result["runs"]
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
