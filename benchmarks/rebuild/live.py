"""What goes on meanwhile: new snapshots at a steady pace, and a reader of the shown table who notes when each is visible.

    python -m benchmarks.rebuild.live RATE      until stdin ends; then one line of JSON

Snapshots are stored by the product's batch service, a batch every 100 ms. Staleness is from the end of the storing
transaction until a query of the view shows the case, looked for every 50 ms: the time of the query itself counts.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from contextlib import suppress
from typing import Any

import asyncpg
import orjson

from benchmarks.rebuild.ground import CLASS, TABLE, TENANT, variables
from domain.cases.batch import Message, decide, load, save
from domain.cases.case import CaseClass
from domain.outbox import Outbox
from runtime.keys.ring import KeyRing, open_key_ring
from runtime.settings import Settings
from schemas.caller import Caller
from schemas.cases import StoreSnapshot

TICK, LOOK = 0.1, 0.05
_CALLER = Caller(TENANT, "an", frozenset({"supervisor"}), "CRM_UI")
_CLASSES = {CLASS: CaseClass("WorkObject")}


class Live:
    """Storing and looking, side by side on one loop. `missing`: committed, not seen yet, with the moment of the commit."""

    def __init__(self, rate: int) -> None:
        self._rate, self._sent = rate, 0
        self._missing: dict[str, float] = {}
        self._stale: list[float] = []
        self._looks, self._errors, self._late = 0, 0, 0.0
        self._ended = asyncio.Event()

    async def run(self) -> dict[str, Any]:
        url = os.environ["BENCH_DATABASE_URL"]
        storing, looking = await asyncpg.connect(url), await asyncpg.connect(url)
        async with open_key_ring(Settings.load(os.environ)) as ring:
            tasks = [asyncio.create_task(self._store(storing, ring)), asyncio.create_task(self._look(looking))]
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
            self._ended.set()
            await asyncio.gather(*tasks)
        return self._told()

    async def _store(self, conn: asyncpg.Connection, ring: KeyRing) -> None:
        await conn.execute(
            "select set_config('app.tenant', $1, false), set_config('app.tenants', $2, false)", TENANT, f"{{{TENANT}}}"
        )
        began = time.monotonic()
        tick = 0
        while not self._ended.is_set():
            tick += 1
            await self._wait(began + tick * TICK - time.monotonic())
            commands = [self._command() for _ in range(int(self._rate * TICK))]
            async with conn.transaction():
                now = await conn.fetchval("select cs_now()")
                states = await load(conn, ring, _CLASSES, commands)
                await save(conn, Outbox("casestream"), [decide(states[one.key], one, now) for one in commands], now)
            committed = time.monotonic()
            self._missing |= {one.command.case_id: committed for one in commands}
            self._late = max(self._late, committed - (began + tick * TICK))

    def _command(self) -> Message:
        self._sent += 1
        case_id = f"live-{os.getpid()}-{self._sent:07}"
        text = orjson.dumps(variables(self._sent)).decode()
        command = StoreSnapshot(case_id=case_id, class_name=CLASS, subject_id=f"subject-{self._sent % 500}", variables=text)
        return Message(command, _CALLER, "bench", case_id)

    async def _look(self, conn: asyncpg.Connection) -> None:
        while not (self._ended.is_set() and not self._missing):
            await asyncio.sleep(LOOK)
            wanted = list(self._missing)
            self._looks += 1
            try:
                rows = await asyncio.wait_for(
                    conn.fetch(
                        f"select case_id from analytics.{TABLE} where tenant_id = $1 and case_id = any ($2)", TENANT, wanted
                    ),
                    30,
                )
            except (asyncpg.PostgresError, OSError, TimeoutError):
                self._errors += 1
                continue
            seen = time.monotonic()
            self._stale += [seen - self._missing.pop(row["case_id"]) for row in rows]

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), max(seconds, 0.001))

    def _told(self) -> dict[str, Any]:
        cuts = statistics.quantiles(self._stale, n=100) if len(self._stale) > 1 else [0.0] * 99
        return {
            "sent": self._sent,
            "seen": len(self._stale),
            "reader_looks": self._looks,
            "reader_errors": self._errors,
            "staleness_p50_ms": round(cuts[49] * 1000),
            "staleness_p99_ms": round(cuts[98] * 1000),
            "staleness_most_ms": round(max(self._stale, default=0.0) * 1000),
            "storing_late_at_most_ms": round(self._late * 1000),
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(Live(int(sys.argv[1])).run())))
