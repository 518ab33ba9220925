"""The chapter's story: snapshots become tables, a column is mapped and its table rebuilt under traffic, a person is erased.

Every step is what a user would do: commands over Kafka, `casestream` on the command line, SQL as an analyst.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from rich.progress import Progress

from demo.cases.snapshots import Snapshot, interleaved, order_change, order_snapshots
from runtime.kafka import physical, producer
from runtime.settings import Settings
from runtime.sql import load_queries
from schemas.envelope import to_headers
from schemas.errors import TransientError

queries = load_queries(__file__, "story.sql")

TOPIC = "case.commands.v1"
ORDERS = 10_000
LIVE_PER_SECOND = 200
PATIENCE_SECONDS = 90.0
TABLE = "case_plain_order_case"
RELEASED = Path(__file__).resolve().parents[2] / "definitions" / "cases" / "orders.yaml"
NEW_COLUMN = "warehouse"
FORGOTTEN = 17  # the number of the order whose customer asks to be forgotten

# Runs a command of ours as a user would; what it prints.
Casestream = Callable[[Sequence[str]], Awaitable[str]]


@dataclass
class CaseBooks:
    """What was stored and what became of it; `problems` is empty when everything adds up."""

    snapshots: int = 0
    cases: int = 0
    shown: int = 0
    seconds: float = 0.0
    live: int = 0
    reads: int = 0
    read_errors: list[str] = field(default_factory=list)
    rebuilt_in: float = 0.0
    parity: dict[str, Any] = field(default_factory=dict)
    filled: int = 0
    newest: int = 0
    subject: str = ""
    rows_before: int = 0
    rows_after: int = 0
    gone_after: float = 0.0
    status_after: int = 0

    def problems(self) -> list[str]:
        """Every line that does not balance."""
        checks: list[tuple[str, object, object]] = [
            ("cases shown in the tables at their newest version", self.shown, self.cases),
            ("errors of the reader during rebuild and switch", self.read_errors[:3], []),
            ("cases of the rebuilt table at their newest version, live ones included", self.filled, self.newest),
            ("rows of the erased subject", self.rows_after, 0),
            ("answer to reading an erased case", self.status_after, httpx.codes.GONE),
        ]
        found = [f"{what}: found {found}, should be {wanted}" for what, found, wanted in checks if found != wanted]
        return found + ([] if self.rows_before else ["the erased subject had no row to begin with"])


class CaseChapter:
    """One run on a running stack, for two tenants. `histories`: the incidents' snapshots, one list per incident."""

    def __init__(
        self, settings: Settings, url: str, tokens: dict[str, str], histories: Sequence[Sequence[Snapshot]], run: str
    ) -> None:
        self._settings, self._url, self._tokens, self._run = settings, url, tokens, run
        self._tenants = list(tokens)[:2]
        self._histories = [*histories, *order_snapshots(ORDERS, self._tenants, run)]
        self.books = CaseBooks(cases=len(self._histories), snapshots=sum(map(len, self._histories)))

    async def go(
        self, conn: asyncpg.Connection, analyst: asyncpg.Connection, casestream: Casestream, folder: Path, progress: Progress
    ) -> CaseBooks:
        """Everything. `conn` looks behind the scenes; `analyst` sees what analysts see. Raises TransientError when late."""
        began = time.monotonic()
        await self._store(progress)
        await self._all_shown(conn, progress)
        self.books.seconds = time.monotonic() - began
        async with self._live_traffic(progress), self._reader(analyst):
            await self._map_and_rebuild(casestream, folder)
        await self._settled(conn)
        await self._forget(conn, casestream)
        return self.books

    async def _store(self, progress: Progress) -> None:
        task = progress.add_task("case snapshots over Kafka", total=self.books.snapshots)
        async with self._producer() as send:
            for snapshot in interleaved(self._histories):
                await send(snapshot)
                progress.advance(task)

    async def _all_shown(self, conn: asyncpg.Connection, progress: Progress) -> None:
        task = progress.add_task("cases shown to analysts", total=self.books.cases)
        end = time.monotonic() + PATIENCE_SECONDS
        while self.books.shown < self.books.cases:
            if time.monotonic() > end:
                raise TransientError("the case tables did not catch up: casestream group lag; casestream dlt list")
            await asyncio.sleep(0.3)
            self.books.shown = await queries.count_shown(conn, run=f"%-{self._run}", wanted=self.books.snapshots)
            progress.update(task, completed=self.books.shown)

    async def _map_and_rebuild(self, casestream: Casestream, folder: Path) -> None:
        file = folder / "orders.yaml"
        file.write_text(RELEASED.read_text(encoding="utf-8").rstrip() + _MAPPED, encoding="utf-8")
        why = ["--reason", "analysts ask where an order was packed"]
        await casestream(["mapping", "import", str(file), "--publish", *why])
        began = time.monotonic()
        await casestream(["projection", "rebuild", TABLE, "--from", "topic", "--workers", "1", "--execute", *why])
        self.books.rebuilt_in = time.monotonic() - began
        self.books.parity = json.loads(await casestream(["--output", "json", "projection", "verify", TABLE]))
        await casestream(["projection", "switch", TABLE, "--execute"])

    async def _settled(self, conn: asyncpg.Connection) -> None:
        """Until the rebuilt table shows the last of the live traffic."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            self.books.newest = await queries.count_orders(conn, run=f"ORD%-{self._run}")
            self.books.filled = await queries.count_filled(conn, run=f"ORD%-{self._run}")
            if self.books.filled == self.books.newest:
                return
            await asyncio.sleep(0.3)

    async def _forget(self, conn: asyncpg.Connection, casestream: Casestream) -> None:
        tenant = self._tenants[FORGOTTEN % len(self._tenants)]
        order = order_change(FORGOTTEN, self._tenants, self._run, 1)
        self.books.subject = order.command.subject_id
        of = {"tenant_id": tenant, "subject_id": self.books.subject}
        self.books.rows_before = await queries.count_rows_of_subject(conn, **of)
        began = time.monotonic()
        await casestream(["keys", "shred", tenant, self.books.subject, "--execute", "--reason", "a request to be forgotten"])
        self.books.gone_after = time.monotonic() - began
        self.books.rows_after = await queries.count_rows_of_subject(conn, **of)
        headers = {"authorization": f"Bearer {self._tokens[tenant]}"}
        async with httpx.AsyncClient(base_url=self._url, headers=headers, trust_env=False, timeout=30) as client:
            answer = await client.get(f"/api/v1/cases/{order.command.case_id}", params={"reason": "a demonstration"})
            self.books.status_after = answer.status_code

    @asynccontextmanager
    async def _producer(self) -> AsyncIterator[Callable[[Snapshot], Awaitable[None]]]:
        client = producer(self._settings)
        await client.start()

        async def send(snapshot: Snapshot) -> None:
            event = snapshot.envelope()
            key = (event.partitionkey or "").encode()
            await client.send(physical(self._settings, TOPIC), event.data, key, headers=to_headers(event))

        try:
            yield send
            await client.flush()
        finally:
            await client.stop()

    @asynccontextmanager
    async def _live_traffic(self, progress: Progress) -> AsyncIterator[None]:
        """Orders change, LIVE_PER_SECOND of them, as long as the block runs."""
        done = asyncio.Event()
        task = progress.add_task("live snapshots meanwhile", total=None)

        async def change() -> None:
            began = time.monotonic()
            async with self._producer() as send:
                while not done.is_set():
                    number, turn = self.books.live % ORDERS, self.books.live // ORDERS
                    await send(order_change(number, self._tenants, self._run, 3 + turn))
                    self.books.live += 1
                    progress.advance(task)
                    await asyncio.sleep(max(0.0, began + self.books.live / LIVE_PER_SECOND - time.monotonic()))

        async with _beside(change(), done):
            yield

    @asynccontextmanager
    async def _reader(self, analyst: asyncpg.Connection) -> AsyncIterator[None]:
        """An analyst asks the same question again and again; every error and every missing row counts."""
        done = asyncio.Event()

        async def ask() -> None:
            while not done.is_set():
                self.books.reads += 1
                try:
                    count = await queries.count_seen(analyst)
                    if count < ORDERS:
                        self.books.read_errors.append(f"{count} rows")
                except asyncpg.PostgresError as error:
                    self.books.read_errors.append(type(error).__name__)
                await asyncio.sleep(0.05)

        async with _beside(ask(), done):
            yield


@asynccontextmanager
async def _beside(work: Any, done: asyncio.Event) -> AsyncIterator[None]:
    running = asyncio.create_task(work)
    try:
        yield
    finally:
        done.set()
        await running


_MAPPED = f"""
      - {{plainColumn: {NEW_COLUMN}, jsonPath: "$.params['warehouse']"}}
"""
