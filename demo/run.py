"""The demo's story, step by step: stack, people, incidents through both doors, volume, poison, two kills, books, answers."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import asyncpg
from rich.progress import Progress

from clients.work_items import COMMANDS_TOPIC, HttpPublisher, KafkaPublisher
from demo import people
from demo.events_seen import EventsReader, Seen
from demo.latency import Latency, measure
from demo.oracle import Expected, expected
from demo.processes import Processes
from demo.volume import Poison, Volume, volume
from domain.outbox import record_key
from domain.work_items.import_mapping import ImportMapping
from domain.work_items.importing import ImportCommand, Importer, Row
from runtime.kafka import physical, producer
from runtime.postgres import role_url
from runtime.settings import Settings
from runtime.sql import load_queries
from schemas.errors import TransientError

queries = load_queries(__file__, "books.sql")
VOLUME_COMMANDS = 20_000
SENT_AGAIN = 0.1
DRAIN_SECONDS = 60.0


@dataclass
class Books:
    """What was sent and what became of it; `problems` is empty when everything adds up."""

    expected: Expected
    volume: Volume
    unmapped: Counter[str]
    http: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    commands: int = 0
    deliveries: int = 0
    applied: int = 0
    parked: list[dict[str, object]] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)
    kills: dict[str, float] = field(default_factory=dict)
    latency: Latency | None = None
    seconds: float = 0.0

    @property
    def parked_messages(self) -> int:
        return sum(int(str(row["messages"])) for row in self.parked)

    @property
    def duplicates(self) -> int:
        return self.deliveries - self.commands

    def problems(self) -> list[str]:
        """Every line of the books that does not balance."""
        refused = sum(self.refused.values())
        checks: list[tuple[str, object, object]] = [
            ("distinct commands = applied + refused + parked", self.commands, self.applied + refused + self.parked_messages),
            ("applied, by the oracle", self.applied, self.expected.applied + self.volume.commands - self.volume.parked),
            ("refused, by the oracle", dict(self.refused), dict(self.expected.refused)),
            ("parked, by the generator", self.parked_messages, self.volume.parked),
            ("events out of order", self.seen.disorder, 0),
        ]
        return [f"{what}: found {found}, should be {wanted}" for what, found, wanted in checks if found != wanted]


class Demo:
    """One run on a running stack. `run` names it: other runs have other items and commands."""

    def __init__(self, settings: Settings, processes: Processes, mapping: ImportMapping, rows: Sequence[Row], run: str) -> None:
        self._settings, self._processes, self._mapping = settings, processes, mapping
        importer = Importer(mapping, run)
        self._incidents = importer.commands(rows)
        assignees = people.assignees(rows, mapping.columns)
        self._volume = volume(VOLUME_COMMANDS, run, mapping.tenants, assignees)
        self.books = Books(expected(rows), self._volume, importer.unmapped)
        self._reader = EventsReader(settings)

    async def go(self, tokens: dict[str, str], progress: Progress) -> Books:
        """Everything after the processes are ready. Raises TransientError when the books are not closed in time."""
        began = time.monotonic()
        await self._reader.note_start()
        conn = await asyncpg.connect(role_url(self._settings, "migrate"))
        try:
            await asyncio.gather(self._publish_incidents(tokens, progress), self._publish_volume(progress), self._kill())
            await self._drain(conn, progress)
            self.books.seconds = time.monotonic() - began
            await self._close(conn)
            self.books.latency = await measure(self._processes.url, tokens, conn)
        finally:
            await conn.close()
        return self.books

    async def _publish_incidents(self, tokens: dict[str, str], progress: Progress) -> None:
        by_http, by_kafka = self._incidents[::2], self._incidents[1::2]
        http = HttpPublisher(self._processes.url, tokens, SENT_AGAIN)
        kafka = KafkaPublisher(self._settings, self._mapping.source, SENT_AGAIN)
        await asyncio.gather(
            http.publish(by_http, _bar(progress, "incidents over HTTP", by_http)),
            kafka.publish(by_kafka, _bar(progress, "incidents over Kafka", by_kafka)),
        )
        self.books.refused.update(http.tally.refused)
        self.books.applied += http.tally.applied
        for tally in (http.tally, kafka.tally):
            self.books.commands += tally.commands
            self.books.deliveries += tally.deliveries
        self.books.http.update(commands=http.tally.commands, replayed=http.tally.replayed)

    async def _publish_volume(self, progress: Progress) -> None:
        publisher = KafkaPublisher(self._settings, self._mapping.source)
        advance = _bar(progress, "generated volume over Kafka", self._volume.items)
        client = producer(self._settings)
        await client.start()
        try:
            for record in self._volume.records():
                if isinstance(record, Poison):
                    topic = physical(self._settings, COMMANDS_TOPIC)
                    await client.send(topic, record.value, record.key, headers=list(record.headers))
                else:
                    await publisher.send(client, record)
                    advance(1)
            await client.flush()
        finally:
            await client.stop()
        self.books.commands += self._volume.commands
        self.books.deliveries += self._volume.commands

    async def _kill(self) -> None:
        """SIGKILL the relay, then a consumer, in the middle of the work; measure until another process stands there."""
        for child in ("relay-0", "work-items-0"):
            await asyncio.sleep(1.0)
            began = time.monotonic()
            killed = self._processes.kill(child)
            await self._processes.restarted(child, killed)
            self.books.kills[child] = time.monotonic() - began

    async def _drain(self, conn: asyncpg.Connection, progress: Progress) -> None:
        """Until every command is decided, every event is relayed and the board shows it."""
        wanted = len(self._kafka_ids())
        task = progress.add_task("draining", total=wanted)
        end = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < end:
            decided = await queries.applied_commands(conn, source=self._mapping.source, command_ids=self._kafka_ids())
            progress.update(task, completed=decided)
            if decided + self._volume.parked - len(self._volume.poison) >= wanted and await self._all_shown(conn):
                return
            await asyncio.sleep(0.2)
        raise TransientError(
            f"the system did not catch up in {DRAIN_SECONDS:g} s: casestream group lag; casestream relay status"
        )

    async def _all_shown(self, conn: asyncpg.Connection) -> bool:
        if await queries.unsent_events(conn):
            return False
        return not await queries.behind_items(conn, item_ids=[UUID(item) for item in self._item_ids()])

    async def _close(self, conn: asyncpg.Connection) -> None:
        decided = await queries.applied_commands(conn, source=self._mapping.source, command_ids=self._kafka_ids())
        self.books.seen = await self._reader.read(frozenset(self._kafka_ids()))
        self.books.refused.update(self.books.seen.refused)
        self.books.applied += decided - sum(self.books.seen.refused.values())
        keys = [record_key(commands[0].tenant_id, "work_item", commands[0].command.work_item_id) for commands in self._items()]
        self.books.parked = [dict(row) for row in await queries.parked_messages(conn, keys=keys)]

    def _items(self) -> Iterable[list[ImportCommand]]:
        return [*self._incidents, *self._volume.items]

    def _item_ids(self) -> list[str]:
        return [commands[0].command.work_item_id for commands in self._items()]

    def _kafka_ids(self) -> list[str]:
        return [str(command.id) for commands in [*self._incidents[1::2], *self._volume.items] for command in commands]


def _bar(progress: Progress, title: str, items: Sequence[Sequence[object]]) -> Callable[[int], None]:
    task = progress.add_task(title, total=sum(map(len, items)))
    return lambda steps: progress.advance(task, steps)


def log_file(home: Path) -> Path:
    """Where the demo's processes log."""
    return home / "logs" / "demo.log"
