"""The chapter's story: rules are imported, an upstream publishes, the effects worker is killed, the clock strikes, books.

Every step is what a user would do: `casestream` on the command line, the publish door over HTTP, the upstream's own topic.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
from rich.progress import Progress

from clients.events import EventPublisher
from demo.processes import Processes
from demo.rules.books import KILLS, RuleBooks
from demo.rules.events import Event, Upstream
from demo.rules.incidents import IncidentLog
from demo.rules.oracle import expected
from demo.rules.outside import Outside
from demo.rules.preparing import WHY, Casestream, copy_rules, prepare
from demo.rules.skipped import reasons
from demo.rules.traffic import LIMIT, traffic
from demo.topic_reader import TopicReader
from domain.work_items.import_mapping import ImportMapping
from domain.work_items.importing import Row
from runtime.settings import Settings
from runtime.sql import load_queries
from schemas.errors import TransientError

queries = load_queries(__file__, "story.sql")

PER_SECOND = 800
TOLD_AGAIN = 0.1
PATIENCE_SECONDS = 120.0
WORKER = "effects-0"
SOURCE = "events:service:import"
EXPLAINED = "Tell the manager about a large deal"


class RuleChapter:
    """One run on a running stack, for one tenant. `outside` listens while it goes."""

    def __init__(
        self, settings: Settings, processes: Processes, outside: Outside, rows: Sequence[Row], mapping: ImportMapping, run: str
    ) -> None:
        self._processes, self._outside, self._run = processes, outside, run
        self.tenant = mapping.tenants[0]
        self._log = IncidentLog(rows, mapping)
        self._commands = TopicReader(settings, "crm.entity.commands")

    async def go(
        self, conn: asyncpg.Connection, token: str, casestream: Casestream, folder: Path, progress: Progress
    ) -> RuleBooks:
        """Everything. `conn` looks behind the scenes. Raises TransientError when the events are not read in time."""
        began = time.monotonic()
        await self._commands.note_start()
        async with self._outside.open(), self._killing():
            copies = copy_rules(folder, self._run, self._outside.hook_url)
            self._outside.secret = await prepare(casestream, folder, self.tenant)
            await casestream(["rule", "import", *map(str, copies.watching), "--tenant", self.tenant, *WHY])
            self._happen()
            await self._publish(token, progress)
            if not await self._until(progress, "values of the entities", self.books.events, lambda: self._told(conn)):
                raise TransientError("the changes were not read in time: casestream group lag; casestream relay status")
            await casestream(["rule", "import", str(copies.clocked), "--tenant", self.tenant, *WHY])
            wanted = self.books.expected.fired.total()
            self.books.late = not await self._until(progress, "runs of rules", wanted, lambda: self._ended(conn))
            await self._close(conn)
        self.books.left_alone = reasons(copies.rules, self._events, self._now)
        self.books.explained = await self._explain(casestream, folder)
        self.books.seconds = time.monotonic() - began
        return self.books

    def _happen(self) -> None:
        """What the upstream has to tell, as of now, and what must come of it."""
        self._now = datetime.now(UTC)
        upstream = Upstream(self.tenant, self._run)
        self._events = [*traffic(upstream, self._now), *self._log.events(upstream, self._now)]
        self.books = RuleBooks(expected(self._events, self._now), self._outside, len(self._events))

    async def _publish(self, token: str, progress: Progress) -> None:
        sending = list(_some_twice(self._events))
        task = progress.add_task("entity changes over HTTP", total=len(sending))
        publisher = EventPublisher(self._processes.url, {self.tenant: token}, PER_SECOND)
        await publisher.publish(sending, lambda sent: progress.advance(task, sent))
        self.books.tally = publisher.tally

    @asynccontextmanager
    async def _killing(self) -> AsyncIterator[None]:
        """Meanwhile SIGKILL the worker when somebody outside has begun to answer it slowly: that call is made again."""

        async def kill() -> None:
            for _ in range(KILLS):
                self._outside.slow.clear()
                await self._outside.slow.wait()
                began = time.monotonic()
                killed = self._processes.kill(WORKER)
                await self._processes.restarted(WORKER, killed)
                self.books.kills.append(time.monotonic() - began)

        task = asyncio.create_task(kill())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _until(self, progress: Progress, what: str, wanted: int, found: Callable[[], Awaitable[int]]) -> bool:
        """Whether it came to that while patience lasted."""
        task = progress.add_task(what, total=wanted)
        end = time.monotonic() + PATIENCE_SECONDS
        while (done := await found()) < wanted:
            progress.update(task, completed=done)
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.2)
        progress.update(task, completed=done)
        return True

    async def _told(self, conn: asyncpg.Connection) -> int:
        return int(await queries.count_told(conn, **self._mine))

    async def _ended(self, conn: asyncpg.Connection) -> int:
        """Runs that are over; not all of them before everything that they asked for was sent and done."""
        await self._read(conn)
        ended = self.books.runs.total() - self.books.unfinished
        behind = await queries.count_unsent(conn) or self.books.tasks < self.books.expected.tasks
        return min(ended, self.books.expected.fired.total() - 1) if behind else ended

    async def _read(self, conn: asyncpg.Connection) -> None:
        self.books.runs.clear()
        for row in await queries.list_runs(conn, **self._mine):
            self.books.runs[row["rule_name"], row["status"]] = row["runs"]
        self.books.tasks = await queries.count_tasks(conn, **self._mine)

    async def _close(self, conn: asyncpg.Connection) -> None:
        await self._read(conn)
        self.books.notifications = await queries.count_notifications(conn, **self._mine)
        for row in await queries.list_held(conn, **self._mine):
            self.books.held[row["rule_name"], row["reason"]] = row["times"]
        commands = {}
        async for record in self._commands.records():
            headers = {name: value.decode() for name, value in record.headers}
            told = json.loads(record.value)
            if headers["ce_type"] == "AssignTo" and told["entityId"].endswith(f"-{self._run}"):
                commands[told["commandId"]] = told["assigneeId"]
        self.books.assigned.update(commands.values())

    async def _explain(self, casestream: Casestream, folder: Path) -> dict[str, Any]:
        """Ask why a deal that is worth exactly the limit did not fire the rule for large ones."""
        asked = next(event for event in self._events if event["newValues"].get("estimatedValue") == LIMIT)
        file = folder / "why.json"
        file.write_text(json.dumps(asked, indent=2), encoding="utf-8")
        words = ["rule", "explain", EXPLAINED, str(file), "--tenant", self.tenant, "--source", SOURCE]
        return dict(json.loads(await casestream(["--output", "json", *words])))

    @property
    def _mine(self) -> dict[str, str]:
        return {"tenant_id": self.tenant, "run": f"%-{self._run}"}


def _some_twice(events: Sequence[Event]) -> Iterator[Event]:
    """Now and then an upstream is not sure whether it was heard."""
    chance = random.Random(len(events))
    for event in events:
        yield event
        if chance.random() < TOLD_AGAIN:
            yield event
