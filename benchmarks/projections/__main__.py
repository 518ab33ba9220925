"""Ways to write rows of a table version, and analysts' questions under row level security.

    python -m benchmarks.projections [--rounds 5] [--tenants 10] [--rows 30000]

One PostgreSQL (fsync on) on this machine. Writes benchmarks/results/projections.json and .md.
"""

import argparse
import asyncio
import json
import platform
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.projections import analysts, writing
from tests.infrastructure import databases, servers
from tests.integration.projections.tables import NAME, make_version, order_spec, switch

_RESULTS = Path(__file__).parent.parent / "results"


async def run(rounds: int, tenants: int, rows: int) -> dict[str, Any]:
    server = servers.provide_postgres()
    try:
        database = await databases.clone(server.address, await databases.make_template(server.address))
        owner = await asyncpg.connect(database.url("superuser"))
        migrate = await asyncpg.connect(database.url("migrate"))
        await make_version(migrate, order_spec())
        await switch(migrate, NAME, 1)
        await migrate.close()
        written = await writing.measure(database, owner, rounds)
        await analysts.fill(owner, tenants, rows)
        asked = await analysts.measure(database, owner, rounds)
        version = await owner.fetchval("show server_version")
        await owner.close()
    finally:
        server.close()
    return {
        "postgresql": version,
        "machine": platform.machine(),
        "tenants": tenants,
        "rows": rows,
        "writing": written,
        "analysts": asked,
    }


def page(results: dict[str, Any]) -> str:
    """The figures as a page."""
    rows, tenants = results["rows"], results["tenants"]
    lines = [
        "# Table versions: writing, and reading under row level security",
        "",
        f"`python -m benchmarks.projections`, PostgreSQL {results['postgresql']}, medians in milliseconds.",
        "",
        "## A batch of 1,000 rows of the order table",
        "",
        "| way | insert | update |",
        "| --- | ---: | ---: |",
        *(f"| {way} | {ms['insert']} | {ms['update']} |" for way, ms in results["writing"].items()),
        "",
        f"## An analyst of one tenant of {tenants}, {rows:,} rows each",
        "",
        "| question | indexes | " + " | ".join(analysts.FORMS) + " |",
        "| --- | --- |" + " ---: |" * len(analysts.FORMS),
    ]
    for question, sets in results["analysts"].items():
        for indexes, forms in sets.items():
            cells = " | ".join(str(forms[form]["ms"]) for form in analysts.FORMS)
            lines.append(f"| {question} | {indexes} | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tenants", type=int, default=10)
    parser.add_argument("--rows", type=int, default=30_000)
    given = parser.parse_args()
    results = asyncio.run(run(given.rounds, given.tenants, given.rows))
    (_RESULTS / "projections.json").write_text(json.dumps(results, indent=2) + "\n")
    (_RESULTS / "projections.md").write_text(page(results))
    print(page(results))


if __name__ == "__main__":
    main()
