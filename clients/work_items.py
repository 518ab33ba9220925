"""The two ways in for imported commands: over HTTP with an idempotency key each, and as Kafka commands keyed by item.

An item's commands go one after another; items go side by side. Every command keeps its stable id at both doors, so a
delivery that is repeated, here or by running the import again, is absorbed.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zlib import crc32

import httpx
from aiokafka import AIOKafkaProducer

from domain.outbox import record_key
from domain.work_items.importing import ImportCommand
from runtime.kafka import physical, producer
from runtime.settings import Settings
from schemas.envelope import CloudEvent, to_headers
from schemas.errors import TransientError
from schemas.work_items import CreateWorkItem

COMMANDS_TOPIC = "work-items.commands.v1"
WORK_ITEMS_PATH = "/api/crm/work-items"
_RETRIED = frozenset({429, 502, 503, 504})

Progress = Callable[[int], None]


@dataclass(slots=True)
class Tally:
    """What became of the commands of one door. `refused` counts by action and code; Kafka's answers come as events."""

    commands: int = 0
    deliveries: int = 0
    applied: int = 0
    replayed: int = 0
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)


def is_sent_again(command: ImportCommand, share: float) -> bool:
    """Whether this command is delivered twice, as a network would: a fixed choice per command."""
    return crc32(command.id.bytes) % 10_000 < share * 10_000


class HttpPublisher:
    """Sends over HTTP. `tokens`: one per tenant, with the import role."""

    def __init__(self, url: str, tokens: Mapping[str, str], again: float = 0.0, connections: int = 8) -> None:
        self._url, self._tokens, self._again, self._connections = url, tokens, again, connections
        self.tally = Tally()

    async def publish(self, items: Iterable[Sequence[ImportCommand]], progress: Progress) -> None:
        """Raises TransientError when the API stays away for a minute."""
        waiting = iter(items)
        limits = httpx.Limits(max_connections=self._connections)
        async with httpx.AsyncClient(base_url=self._url, limits=limits, timeout=30, trust_env=False) as client:
            await asyncio.gather(*(self._worker(client, waiting, progress) for _ in range(self._connections)))

    async def _worker(self, client: httpx.AsyncClient, items: Iterable[Sequence[ImportCommand]], progress: Progress) -> None:
        for commands in items:
            for command in commands:
                self.tally.commands += 1
                self._note(command, await self._deliver(client, command))
                if is_sent_again(command, self._again):
                    await self._deliver(client, command)
                progress(1)

    async def _deliver(self, client: httpx.AsyncClient, command: ImportCommand) -> httpx.Response:
        response = await self._send(client, command)
        self.tally.deliveries += 1
        self.tally.replayed += response.headers.get("idempotency-replayed") == "true"
        return response

    def _note(self, command: ImportCommand, response: httpx.Response) -> None:
        """A command's answer is its first one; what a later delivery is told changes nothing."""
        if response.is_success:
            self.tally.applied += 1
        else:
            self.tally.refused[command.name, response.json().get("error", str(response.status_code))] += 1

    async def _send(self, client: httpx.AsyncClient, command: ImportCommand) -> httpx.Response:
        path, body = request(command)
        headers = {"authorization": f"Bearer {self._tokens[command.tenant_id]}", "idempotency-key": f'"{command.id}"'}
        for attempt in range(60):
            try:
                response = await client.post(path, json=body, headers=headers)
            except httpx.TransportError:
                response = None
            if response is not None and response.status_code not in _RETRIED:
                return response
            await asyncio.sleep(min(0.1 * 2**attempt, 1.0))
        raise TransientError(f"the API at {self._url} did not answer for a minute: is it running? casestream status")


def request(command: ImportCommand) -> tuple[str, object]:
    given = command.command
    left_out = {"schema_version", "requested_by"}
    if isinstance(given, CreateWorkItem):
        return WORK_ITEMS_PATH, given.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=left_out)
    body = given.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={*left_out, "work_item_id"})
    return f"{WORK_ITEMS_PATH}/{given.work_item_id}/actions", body


class KafkaPublisher:
    """Sends as commands of the registered sender `source`."""

    def __init__(self, settings: Settings, source: str, again: float = 0.0) -> None:
        self._settings, self._source, self._again = settings, source, again
        self.tally = Tally()

    async def publish(self, items: Iterable[Sequence[ImportCommand]], progress: Progress) -> None:
        """Items are interleaved, as from many users at once; returns when the broker has everything."""
        client = producer(self._settings)
        await client.start()
        try:
            for command in interleave(items):
                self.tally.commands += 1
                for _ in range(1 + is_sent_again(command, self._again)):
                    self.tally.deliveries += 1
                    await self.send(client, command)
                progress(1)
            await client.flush()
        finally:
            await client.stop()

    async def send(self, client: AIOKafkaProducer, command: ImportCommand) -> None:
        """Hand one command to the producer."""
        event = envelope(command, self._source)
        key = (event.partitionkey or "").encode()
        await client.send(physical(self._settings, COMMANDS_TOPIC), event.data, key, headers=to_headers(event))


def envelope(command: ImportCommand, source: str) -> CloudEvent:
    """The command as a CloudEvent, keyed by its item."""
    item = command.command.work_item_id
    return CloudEvent(
        id=str(command.id),
        source=source,
        type=command.command.TYPE,
        tenant=command.tenant_id,
        subject=item,
        time=command.command.occurred_at or datetime.now(UTC),
        data=command.command.to_json(),
        dataschema=command.command.dataschema(),
        partitionkey=record_key(command.tenant_id, "work_item", item).decode(),
    )


def interleave(items: Iterable[Sequence[ImportCommand]]) -> Iterable[ImportCommand]:
    """First commands of all items, then second ones, and so on."""
    remaining = [iter(commands) for commands in items]
    while remaining:
        still = []
        for commands in remaining:
            command = next(commands, None)
            if command is not None:
                still.append(commands)
                yield command
        remaining = still
