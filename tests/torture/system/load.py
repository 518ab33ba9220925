"""The load: lives through both doors at a set rate, every command sent until it is acknowledged, some of them twice.

Owns the oracle's file: one line per acknowledged command, written by us when we had the answer. A command that was
acknowledged must have happened exactly once, whatever is killed.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from clients.work_items import COMMANDS_TOPIC, envelope, request
from domain.work_items.importing import ImportCommand
from runtime.kafka import abandon, producer
from schemas.envelope import to_headers
from tests.torture.system.lives import Life, new_life
from tests.torture.system.world import World

SOURCE = "casestream.import"
_AGAIN_LATER = frozenset({429, 500, 502, 503, 504})
_PATIENCE_SECONDS = 600.0
_CONNECTIONS = 16


class Pace:
    """Turns at a fixed rate; what an outage cost is not made up for."""

    def __init__(self, rate: float) -> None:
        self._gap, self._next = 1.0 / rate, 0.0

    async def turn(self) -> None:
        now = time.monotonic()
        self._next = max(now, self._next) + self._gap
        await asyncio.sleep(self._next - self._gap - now)


@dataclass
class Oracle:
    """What was acknowledged. `sent_again`: deliveries of a command beyond the first one."""

    file: Path
    lives: list[Life] = field(default_factory=list)
    kafka_ids: list[str] = field(default_factory=list)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    unclear: list[ImportCommand] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    other_answers: list[str] = field(default_factory=list)
    by_door: Counter[str] = field(default_factory=Counter)
    sent_again: Counter[str] = field(default_factory=Counter)
    failed_attempts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._out = self.file.open("a", buffering=1, encoding="utf-8")

    @property
    def commands(self) -> int:
        return sum(self.by_door.values())

    def acknowledge(self, life: Life, command: ImportCommand, door: str) -> None:
        life.done.append(command.name)  # type: ignore[arg-type]
        self.by_door[door] += 1
        line = {"id": str(command.id), "item": str(life.item), "action": command.name, "door": door, "at": time.time()}
        self._out.write(json.dumps(line) + "\n")


class Load:
    """Sends lives until told to stop. `again`: the share of commands that is delivered twice although acknowledged."""

    def __init__(self, world: World, rate: float = 60.0, again: float = 0.05, workers: int = 24) -> None:
        self._world, self._pace, self._again, self._workers = world, Pace(rate), again, workers
        self._chance = random.Random(20260101)
        self._stop = asyncio.Event()
        self._http = httpx.AsyncClient(
            base_url=world.url, timeout=15, trust_env=False, limits=httpx.Limits(max_connections=_CONNECTIONS)
        )
        self._producer: AIOKafkaProducer | None = None
        self._producer_lock = asyncio.Lock()
        world.folder.mkdir(exist_ok=True)
        self.oracle = Oracle(world.folder / f"oracle-{time.monotonic_ns()}.jsonl")

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Load"]:
        """Sending while the body runs; afterwards every command under way has been acknowledged."""
        # Half of them never need the broker, so that its absence does not stop them one by one.
        tasks = [asyncio.create_task(self._work(only_http=number % 2 == 0)) for number in range(self._workers)]
        try:
            yield self
        finally:
            self._stop.set()
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()

    async def close(self) -> None:
        await self._http.aclose()
        if self._producer is not None:
            await self._producer.stop()

    async def _work(self, *, only_http: bool) -> None:
        while not self._stop.is_set():
            life = new_life(self._chance, only_http=only_http)
            self.oracle.lives.append(life)
            for step in range(len(life.path)):
                await self._pace.turn()
                if self._stop.is_set():
                    return
                await self.send(life, step)

    async def send(self, life: Life, step: int) -> None:
        """One command until it is acknowledged; perhaps once more."""
        command, door = life.command(step), life.doors[step]
        twice = self._chance.random() < self._again
        if door == "http":
            answer = await self.post(command)
            if not answer.is_success:
                self.oracle.refused[f"{command.name}: {answer.status_code} {answer.text[:200]}"] += 1
                return
            self.oracle.answers[str(command.id)] = answer.status_code, answer.content
        else:
            await self.produce(command)
            self.oracle.kafka_ids.append(str(command.id))
        self.oracle.acknowledge(life, command, door)
        if twice:
            self.oracle.sent_again[door] += 1
            await (self.repeat(command) if door == "http" else self.produce(command))

    async def post(self, command: ImportCommand) -> httpx.Response:
        """Over HTTP with its idempotency key, until there is an answer that is one."""
        path, body = request(command)
        headers = {"authorization": f"Bearer {self._world.tokens[command.tenant_id]}", "idempotency-key": f'"{command.id}"'}
        end, attempt = time.monotonic() + _PATIENCE_SECONDS, 0
        while True:
            try:
                answer = await self._http.post(path, json=body, headers=headers)
            except httpx.TransportError as error:
                self.oracle.failed_attempts[f"http {type(error).__name__}"] += 1
            else:
                if answer.status_code not in _AGAIN_LATER and not _in_use(answer):
                    return answer
                self.oracle.failed_attempts[f"http {answer.status_code}"] += 1
            if attempt == 0:
                self.oracle.unclear.append(command)
            attempt += 1
            assert time.monotonic() < end, f"the API gave no answer to {command.name} for {_PATIENCE_SECONDS:g} s"
            await asyncio.sleep(min(0.05 * 2**attempt, 1.0))

    async def repeat(self, command: ImportCommand) -> None:
        """The same request once more must get the same answer."""
        first, answer = self.oracle.answers[str(command.id)], await self.post(command)
        if (answer.status_code, answer.content) != first:
            self.oracle.other_answers.append(f"{command.name}: {first} then {answer.status_code} {answer.text[:200]}")

    async def produce(self, command: ImportCommand) -> None:
        """As a Kafka command, until the broker has it."""
        event = envelope(command, SOURCE)
        key, headers = (event.partitionkey or "").encode(), to_headers(event)
        await self.record(key, event.data or b"", headers)

    async def record(self, key: bytes, value: bytes, headers: Any, topic: str = COMMANDS_TOPIC) -> None:
        """Any record, until the broker has it."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            client = await self._client()
            try:
                await client.send_and_wait(topic, value, key, headers=headers)
                return
            except (KafkaError, OSError) as error:
                self.oracle.failed_attempts[f"kafka {type(error).__name__}"] += 1
                assert time.monotonic() < end, f"the broker took nothing for {_PATIENCE_SECONDS:g} s"
                await self._forget(client)
                await asyncio.sleep(0.5)

    async def _client(self) -> AIOKafkaProducer:
        async with self._producer_lock:
            while self._producer is None:
                client = producer(self._world.settings)
                try:
                    await client.start()
                    self._producer = client
                except (KafkaError, OSError):
                    await client.stop()
                    await asyncio.sleep(0.5)
            return self._producer

    async def _forget(self, client: AIOKafkaProducer) -> None:
        """A producer that failed may not send the rest later: the next one begins anew."""
        async with self._producer_lock:
            if self._producer is client:
                self._producer = None
                await abandon(client)


def _in_use(answer: httpx.Response) -> bool:
    """The first request with this key is still under way."""
    return answer.status_code == 409 and "IdempotencyKeyInUse" in answer.text
