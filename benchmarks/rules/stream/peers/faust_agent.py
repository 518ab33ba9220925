"""A faust-streaming agent: one event at a time, one transaction for each event that writes."""

import asyncio
import os
from typing import Any

import asyncpg
import faust
import orjson

from benchmarks.rules.stream.peers.deciding import (
    BOOTSTRAP,
    DATABASE_URL,
    EFFECT,
    INBOX,
    LOG,
    REMEMBER,
    TOPIC,
    Clock,
    decide,
    rows,
)

app = faust.App(
    "peer-faust-" + os.environ["PEER_RUN"],
    broker=f"kafka://{BOOTSTRAP}",
    value_serializer="raw",
    key_serializer="raw",
    store="memory://",
    web_enabled=False,
    consumer_auto_offset_reset="earliest",
    topic_allow_declare=False,
    topic_disable_leader=True,
)
source = app.topic(TOPIC, value_type=bytes, key_type=bytes)
inbox = INBOX.format("$1", "$2")
log = LOG.format(*(f"${number}" for number in range(1, 10)))
effect = EFFECT.format(*(f"${number}" for number in range(1, 7)))
clock = Clock()


@app.agent(source)
async def leads(stream: Any) -> None:
    conn = await asyncpg.connect(DATABASE_URL)
    async for value in stream:
        await one(conn, orjson.loads(value))
        if clock.done():
            clock.say()
            os._exit(0)


async def one(conn: asyncpg.Connection, event: dict[str, Any]) -> None:
    """Judge, and write what it comes to."""
    found = decide(event)
    if not (found or REMEMBER):
        return
    async with conn.transaction():
        if REMEMBER and await conn.execute(inbox, event["tenantId"], event["eventId"]) == "INSERT 0 0":
            return
        for _ in found:
            logged, planned = rows(event)
            await conn.execute(log, *logged)
            await conn.execute(effect, *planned)


if __name__ == "__main__":
    asyncio.set_event_loop(asyncio.new_event_loop())
    app.main()
