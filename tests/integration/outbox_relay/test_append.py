"""One event and a batch of events leave the same rows: the outbox has a statement for each."""

from datetime import UTC, datetime

import asyncpg

from domain.outbox import Outbox, OutboxEvent
from schemas.headers import unpack_headers
from schemas.work_items import WorkItemActionRefused
from tests.infrastructure.databases import ClonedDatabase

NOW = datetime(2026, 11, 21, 1, 2, 3, 4, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
# Drawn anew for every row.
_OWN = ("id", "event_id", "created_at", "xid")


def event(sequence: int | None, traceparent: str | None, causation: tuple[str, ...]) -> OutboxEvent:
    refused = WorkItemActionRefused(
        work_item_id="w1", code="not-found", command_source="s", command_id="c", action="Assign", refused_at=NOW
    )
    return OutboxEvent("t.v1", "acme", "work_item", "w1", refused, NOW, "an", sequence, traceparent, causation)


EVENTS = [event(None, None, ()), event(7, TRACE, ()), event(8, None, ("a", "b"))]


async def appended(database: ClonedDatabase, batches: list[list[OutboxEvent]]) -> list[dict[str, object]]:
    conn = await asyncpg.connect(database.url("worker"))
    async with conn.transaction():
        last = await conn.fetchval("select coalesce(max(id), 0) from outbox_events")
        for batch in batches:
            await Outbox("casestream").append(conn, batch)
        rows = [dict(row) for row in await conn.fetch("select * from outbox_events where id > $1 order by id", last)]
    await conn.close()
    for row in rows:
        headers = dict(unpack_headers(row.pop("headers")))
        assert headers.pop("ce_id") == str(row["event_id"]).encode()
        row["headers"] = headers
    return [{name: value for name, value in row.items() if name not in _OWN} for row in rows]


async def test_one_by_one_leaves_what_a_batch_leaves(database: ClonedDatabase) -> None:
    one_by_one = await appended(database, [[single] for single in EVENTS])
    batch = await appended(database, [EVENTS])

    assert one_by_one == batch
    assert [row["sequence"] for row in batch] == [None, 7, 8]
    assert await appended(database, [[]]) == []
