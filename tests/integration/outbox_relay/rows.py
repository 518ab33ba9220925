"""Outbox rows for tests of the relay: plain SQL as role cs_worker, as any writer's statement would be."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import asyncpg

from domain.outbox.append import shard_of
from schemas.headers import pack_headers

TOPIC = "work-items.events.v1"

_INSERT = """
insert into outbox_events (event_id, tenant_id, shard, aggregate, aggregate_id, sequence, topic, key, event_type, headers,
                           payload, occurred_at, created_by)
values ($1, 'acme', $2, 'work_item', $3, $4, $5, $6, 'Tested', $7, $8, cs_now(), 'tests')
returning id"""


@dataclass(frozen=True)
class OutboxRow:
    """One event: number `sequence` of aggregate `name`."""

    name: str
    sequence: int
    payload: bytes = b"{}"
    topic: str = TOPIC

    @property
    def key(self) -> bytes:
        return f"acme|work_item|{self.name}".encode()

    @property
    def headers(self) -> list[tuple[str, bytes | None]]:
        return [("ce_id", f"{self.name}-{self.sequence}".encode()), ("ce_sequence", f"{self.sequence:020}".encode())]


async def insert(conn: asyncpg.Connection, rows: Sequence[OutboxRow]) -> list[int]:
    """The ids of the rows, drawn in this order, in the caller's transaction."""
    return [
        await conn.fetchval(
            _INSERT,
            uuid4(),
            shard_of(row.key),
            row.name,
            row.sequence,
            row.topic,
            row.key,
            pack_headers(row.headers),
            row.payload,
        )
        for row in rows
    ]


def name_in_shard(shard: int, start: int = 0) -> str:
    """An aggregate's name whose key falls into this shard."""
    return next(name for name in (f"item-{n}" for n in range(start, 100_000)) if shard_of(OutboxRow(name, 1).key) == shard)
