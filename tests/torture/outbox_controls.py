"""Negative controls: two cursors that people use, and that lose or reorder events. The same load must catch both."""

import asyncio
from collections.abc import Callable

import asyncpg
import orjson

# A sequence number is drawn long before its commit: whoever commits late lies behind the cursor.
BY_ID = """
select 0::bigint as xid, id, aggregate_id, payload from outbox_events where id > $2 and $1::bigint is not null
order by id limit 2000"""
# Nothing is lost below xmin, but whoever took its transaction id early and wrote late overtakes itself.
BY_XID = """
select xid::text::bigint as xid, id, aggregate_id, payload from outbox_events
where (xid, id) > ($1::bigint::text::xid8, $2) and xid < pg_snapshot_xmin(pg_current_snapshot())
order by outbox_events.xid, id limit 2000"""


async def follow(url: str, query: str, published: list[tuple[str, int]], finished: Callable[[], bool]) -> None:
    """Appends (aggregate, number) as a relay with this cursor would send them, until nothing is left after the load."""
    conn = await asyncpg.connect(url)
    xid, row_id = 0, 0
    try:
        while True:
            was_finished = finished()
            rows = await conn.fetch(query, xid, row_id)
            published += [(row["aggregate_id"], orjson.loads(row["payload"])["number"]) for row in rows]
            if rows:
                xid, row_id = rows[-1]["xid"], rows[-1]["id"]
            elif was_finished:
                return
            await asyncio.sleep(0.001)
    finally:
        await conn.close()
