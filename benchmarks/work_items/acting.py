"""The measured process: actions through the command function, or through the batch form, for some seconds on uvloop.

    python -m benchmarks.work_items.acting command|batch URL OWNER_URL SECONDS CONNECTIONS

Prints one JSON object: actions, seconds, CPU seconds of this process and of its backends.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import asyncpg
import uvloop

from api.transactions import begin_statement
from domain.outbox import Outbox
from domain.work_items import batch, commands
from domain.work_items.decisions import Decided
from schemas.caller import Caller
from schemas.work_items import ApplyAction

OUTBOX = Outbox("casestream")
BEGIN = begin_statement("bench")
CALLER = Caller("bench", "an", frozenset({"agent"}), "CRM_UI")
NOTE = "A note of usual length."
BATCH = 200
# PostgreSQL plans a statement anew five times before it keeps a plan.
WARM_UP = 8


def item_id(n: int) -> str:
    return f"00000000-0000-7000-8000-{n:012d}"


class Writer:
    """One connection and the items that only it acts upon, each with the action that is next."""

    def __init__(self, conn: asyncpg.Connection, seed: int, statuses: dict[int, str]) -> None:
        self.conn, self.dice = conn, random.Random(seed)
        self.items = list(statuses)
        self.waiting = {n for n, status in statuses.items() if status != "in_progress"}

    def _next(self, n: int) -> ApplyAction:
        action = "BackToInProgress" if n in self.waiting else "SetWaitingCustomer"
        self.waiting ^= {n}
        return ApplyAction(work_item_id=item_id(n), action=action, note=NOTE)

    async def command(self) -> int:
        """One action as the HTTP door runs it: begin with the tenant, the command's three statements, commit."""
        command = self._next(self.dice.choice(self.items))
        await self.conn.execute(BEGIN)
        outcome = await commands.apply_action(self.conn, OUTBOX, CALLER, command)
        await self.conn.execute("commit")
        return int(isinstance(outcome, Decided))

    async def batch(self) -> int:
        """One action on each of many items, as a processor saves them."""
        chosen = self.dice.sample(self.items, min(BATCH, len(self.items)))
        messages = [batch.Message(self._next(n), CALLER, "bench", str(n)) for n in chosen]
        async with self.conn.transaction():
            await self.conn.execute("select set_config('app.tenants', $1, true)", "{bench}")
            now = await self.conn.fetchval("select cs_now()")
            states = await batch.load(self.conn, messages)
            rulings = [batch.decide(states[message.key], message, now) for message in messages]
            await batch.save(self.conn, OUTBOX, rulings, now)
        return sum(isinstance(ruling.outcome, Decided) for ruling in rulings)


async def measure(which: str, url: str, owner_url: str, seconds: float, connections: int) -> dict[str, float]:
    """Actions that were accepted in so many seconds, after each connection has its plans."""
    writers = await _writers(url, owner_url, connections)
    done, until = 0, 0.0

    async def write(writer: Writer) -> None:
        nonlocal done
        while time.monotonic() < until:
            # Two steps: `done += await` would read the count before it waits, and lose what others add meanwhile.
            accepted = await getattr(writer, which)()
            done += accepted

    for writer in writers:
        for _ in range(WARM_UP):
            await getattr(writer, which)()
    pids = [writer.conn.get_server_pid() for writer in writers]
    before, began, cpu = cpu_of(pids), time.monotonic(), time.process_time()
    until = began + seconds
    await asyncio.gather(*map(write, writers))
    took, used, server = time.monotonic() - began, time.process_time() - cpu, cpu_of(pids) - before
    for writer in writers:
        await writer.conn.close()
    return {"actions": done, "seconds": took, "cpu": used, "server_cpu": server}


def cpu_of(pids: Iterable[int]) -> float:
    """CPU seconds that these processes have used."""
    # What follows a command's name in brackets begins with the state.
    stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")


async def _writers(url: str, owner_url: str, connections: int) -> list[Writer]:
    owner = await asyncpg.connect(owner_url)
    rows = await owner.fetch("select right(id::text, 12)::integer as n, status from work_items where tenant_id = 'bench'")
    await owner.close()
    statuses = {row["n"]: row["status"] for row in rows}
    return [
        Writer(await asyncpg.connect(url), seed, {n: status for n, status in statuses.items() if n % connections == seed})
        for seed in range(connections)
    ]


if __name__ == "__main__":
    which, url, owner_url, seconds, connections = sys.argv[1:]
    print(json.dumps(uvloop.run(measure(which, url, owner_url, float(seconds), int(connections)))))
