"""How long from a committed action to the analysts' table: one item after another, through every real step."""

import asyncio
import time
from dataclasses import dataclass
from uuid import uuid4

import asyncpg
import httpx

from runtime.sql import load_queries

queries = load_queries(__file__, "books.sql")
PROBES = 100
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from the API's answer (the commit is just before it) to the visible row."""

    p50: float
    p99: float
    probes: int


async def measure(url: str, tokens: dict[str, str], conn: asyncpg.Connection, probes: int = PROBES) -> Latency:
    """Create items and watch the board."""
    tenant = next(iter(tokens))
    took = []
    headers = {"authorization": f"Bearer {tokens[tenant]}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
        for _ in range(probes):
            item = str(uuid4())
            body = {"title": "How fast is it?", "workItemId": item}
            answer = await client.post("/api/crm/work-items", json=body, headers={"idempotency-key": f'"{item}"'})
            answer.raise_for_status()
            took.append(await _until_shown(conn, tenant, item))
    took.sort()
    return Latency(took[len(took) // 2] * 1000, took[min(len(took) - 1, int(len(took) * 0.99))] * 1000, len(took))


async def _until_shown(conn: asyncpg.Connection, tenant_id: str, item: str) -> float:
    began = time.monotonic()
    while await queries.board_version(conn, tenant_id=tenant_id, work_item_id=item) is None:
        if time.monotonic() - began > PATIENCE_SECONDS:
            break
        await asyncio.sleep(0.001)
    return time.monotonic() - began
