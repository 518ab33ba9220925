"""The only writer of `outbox_events`: one statement for a whole batch, in the caller's transaction (SP-1, P1).

The caller has locked the aggregate's row before it drew `sequence` and before it appends, so id order is commit order per key.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

from runtime.ids import uuid7
from runtime.sql import Connection, load_queries
from schemas.envelope import CloudEvent, to_headers
from schemas.headers import pack_headers
from schemas.models import Payload

SHARDS = 16  # for ever: a row's shard is stored, but a key must never change its shard while rows are unsent
queries = load_queries(__file__, "outbox.sql")


def record_key(tenant_id: str, aggregate: str, aggregate_id: str) -> bytes:
    """The Kafka key of an aggregate: surrogate ids only, no personal data."""
    return f"{tenant_id}|{aggregate}|{aggregate_id}".encode()


def shard_of(key: bytes | None) -> int:
    """The relay shard of a key: one shard's rows are published in id order."""
    return crc32(key or b"") % SHARDS


class Origin(NamedTuple):
    """The CloudEvents identity of an event that somebody else made, or whose id its payload repeats."""

    source: str
    id: str


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """One event or command to publish. `sequence` is the aggregate's next event number, or None for commands and refusals.

    `origin` None: the event gets a new id under our own source.
    """

    topic: str
    tenant_id: str
    aggregate: str
    aggregate_id: str
    payload: Payload
    occurred_at: datetime
    created_by: str
    sequence: int | None = None
    traceparent: str | None = None
    causation: tuple[str, ...] = ()
    origin: Origin | None = None


class Outbox:
    """Appends events under one `ce_source`: the writer's name plus, after a restore, its incarnation."""

    def __init__(self, source: str) -> None:
        self.source = source

    async def append(self, conn: Connection, events: Sequence[OutboxEvent]) -> None:
        """Insert the events in order. Raises asyncpg.CheckViolationError for one above the size limit."""
        rows = [self._row(event) for event in events]
        if len(rows) == 1:
            await queries.insert_outbox_event(conn, **dict(zip(_COLUMNS, rows[0], strict=True)))
        elif rows:
            columns = map(list, zip(*rows, strict=True))
            await queries.insert_outbox_events(conn, **dict(zip(_COLUMNS, columns, strict=True)))

    def documents(self, events: Sequence[OutboxEvent]) -> list[dict[str, object]]:
        """The events as rows of JSON, in order, for a function of the database that appends them among other things."""
        return [_document(self._row(event)) for event in events]

    def _row(self, event: OutboxEvent) -> tuple[object, ...]:
        event_id = uuid7()
        key = record_key(event.tenant_id, event.aggregate, event.aggregate_id)
        return (
            event_id,
            event.tenant_id,
            shard_of(key),
            event.aggregate,
            event.aggregate_id,
            event.sequence,
            event.topic,
            key,
            event.payload.TYPE,
            pack_headers(to_headers(self._envelope(event, event_id, key))),
            event.payload.to_json(),
            event.occurred_at,
            event.created_by,
            event.traceparent,
        )

    def _envelope(self, event: OutboxEvent, event_id: UUID, key: bytes) -> CloudEvent:
        source, named = event.origin or (self.source, str(event_id))
        return CloudEvent(
            id=named,
            source=source,
            type=event.payload.TYPE,
            tenant=event.tenant_id,
            subject=event.aggregate_id,
            time=event.occurred_at,
            data=b"",
            dataschema=event.payload.dataschema(),
            partitionkey=key.decode(),
            sequence=event.sequence,
            causation=event.causation,
            traceparent=event.traceparent,
        )


def _document(row: tuple[object, ...]) -> dict[str, object]:
    named = zip(_COLUMNS, row, strict=True)
    return {name: b64encode(value).decode() if isinstance(value, bytes) else value for name, value in named}


# The order of `_row`; the names of the table and of the parameters of both statements.
_COLUMNS = (
    "event_id",
    "tenant_id",
    "shard",
    "aggregate",
    "aggregate_id",
    "sequence",
    "topic",
    "key",
    "event_type",
    "headers",
    "payload",
    "occurred_at",
    "created_by",
    "traceparent",
)
