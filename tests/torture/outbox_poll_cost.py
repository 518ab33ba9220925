"""What a poll costs while an old snapshot keeps dead rows alive: with the committed floors, and without any."""

import asyncio
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson

from domain.outbox.append import SHARDS
from outbox_relay.page import INLINE_BYTES, queries


@dataclass
class PollCost:
    """Samples of (buffers touched, milliseconds), with the floors and with every floor at 0."""

    floored: list[tuple[int, float]] = field(default_factory=list)
    unfloored: list[tuple[int, float]] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """Medians of the first and the last third of the run."""
        third = max(1, len(self.floored) // 3)
        return {
            "samples": len(self.floored),
            "floor_ms_first": _median_ms(self.floored[:third]),
            "floor_ms_last": _median_ms(self.floored[-third:]),
            "floor_buffers_first": _median_buffers(self.floored[:third]),
            "floor_buffers_last": _median_buffers(self.floored[-third:]),
            "no_floor_ms_first": _median_ms(self.unfloored[:third]),
            "no_floor_ms_last": _median_ms(self.unfloored[-third:]),
            "no_floor_buffers_last": _median_buffers(self.unfloored[-third:]),
        }


@asynccontextmanager
async def idle_snapshot(url: str) -> AsyncIterator[None]:
    """A reader that forgot its transaction: nothing deleted since can be cleaned up."""
    conn = await asyncpg.connect(url)
    await conn.execute("begin isolation level repeatable read")
    await conn.fetch("select count(*) from outbox_events")
    try:
        yield
    finally:
        await conn.close()


async def sample(url: str, cost: PollCost, every: float, stop: asyncio.Event) -> None:
    """The relay's own statement, explained with its buffers, again and again."""
    conn = await asyncpg.connect(url)
    shards = list(range(SHARDS))
    try:
        while not stop.is_set():
            floors = [row["floor"] for row in await conn.fetch("select floor from relay_shards order by shard")]
            cost.floored.append(await _explain(conn, shards, floors))
            cost.unfloored.append(await _explain(conn, shards, [0] * SHARDS))
            await asyncio.sleep(every)
    finally:
        await conn.close()


async def _explain(conn: asyncpg.Connection, shards: list[int], floors: list[int]) -> tuple[int, float]:
    sql = "explain (analyze, buffers, format json) " + queries.sql_of("fetch_page")
    named: dict[str, Any] = {
        "shards": shards,
        "floors": floors,
        "inline_bytes": INLINE_BYTES,
        "held_topics": [],
        "per_shard": 250,
    }
    [plan] = orjson.loads(await conn.fetchval(sql, *_ordered(sql, named)))
    top = plan["Plan"]
    return top["Shared Hit Blocks"] + top["Shared Read Blocks"], plan["Execution Time"]


def _ordered(sql: str, named: dict[str, Any]) -> list[Any]:
    """asyncpg's numbered parameters in the order in which fetch_page.sql names them."""
    order = ("shards", "floors", "inline_bytes", "held_topics", "per_shard")
    assert all(f"${number}" in sql for number in range(1, len(order) + 1))
    return [named[name] for name in order]


def _median_ms(samples: list[tuple[int, float]]) -> float:
    return round(statistics.median(ms for _, ms in samples), 2)


def _median_buffers(samples: list[tuple[int, float]]) -> float:
    return statistics.median(buffers for buffers, _ in samples)
