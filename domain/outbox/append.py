"""The only writer of `outbox_events`: one array statement for a whole batch, in the caller's transaction (SP-1, P1).

The caller has locked the aggregate's row before it drew `sequence` and before it appends, so id order is commit order per key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
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


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """One event or command to publish. `sequence` is the aggregate's next event number, or None for commands and refusals."""

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


class Outbox:
    """Appends events under one `ce_source`: the writer's name plus, after a restore, its incarnation."""

    def __init__(self, source: str) -> None:
        self.source = source

    async def append(self, conn: Connection, events: Sequence[OutboxEvent]) -> None:
        """Insert the events in order. Raises asyncpg.CheckViolationError for one above the size limit."""
        if events:
            rows = [self._row(event) for event in events]
            await queries.insert_outbox_events(conn, **dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True)))

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
        return CloudEvent(
            id=str(event_id),
            source=self.source,
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


_COLUMNS = (
    "event_ids",
    "tenant_ids",
    "shards",
    "aggregates",
    "aggregate_ids",
    "sequences",
    "topics",
    "keys",
    "event_types",
    "headers",
    "payloads",
    "occurred_at",
    "created_by",
    "traceparents",
)
