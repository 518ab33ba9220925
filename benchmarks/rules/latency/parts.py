"""The two ends of the way, each a process of its own: who commits the changes, and who hears the calls.

`python -m benchmarks.rules.latency.parts write URL RATE TOTAL`; `... hear`, which first says its port. At their end both print
nanoseconds of the machine's one clock by the number of the change.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator

import asyncpg
import uvloop

from domain.entities.accepting import Offered, accept_changes
from domain.outbox import Outbox
from schemas.entities import EntityChangeEvent
from tests.integration.domain.world import caller
from tests.torture.system.lives import TENANTS

WRITERS = 4
PATH = b"POST /hook/"


async def write(url: str, rate: int, total: int) -> dict[str, int]:
    """One change in each transaction, at fixed instants, through the publish door's command; when each commit was answered."""
    at: dict[str, int] = {}
    turn, began = iter(range(total)), time.monotonic() + 0.5
    await asyncio.gather(*(_writer(url, rate, turn, began, at) for _ in range(WRITERS)))
    return at


async def _writer(url: str, rate: int, turn: Iterator[int], began: float, at: dict[str, int]) -> None:
    conn, outbox = await asyncpg.connect(url), Outbox("casestream")
    for number in turn:
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        tenant = TENANTS[number % len(TENANTS)]
        publisher = caller("entity-publisher", tenant_id=tenant)
        async with conn.transaction():
            await conn.execute("select set_config('app.tenant', $1, true)", tenant)
            answers = await accept_changes(conn, outbox, publisher, [Offered(_change(tenant, number))])
        at[str(number)] = time.time_ns()
        assert answers == ["accepted"], answers
    await conn.close()


def _change(tenant: str, number: int) -> EntityChangeEvent:
    return EntityChangeEvent.model_validate(
        {
            "eventId": f"e{number}",
            "entityType": "LEAD",
            "entityId": f"lead-{number}",
            "changeType": "CREATE",
            "newValues": {"number": number, "name": "Nguyễn Văn An", "leadSource": "WEBSITE", "score": 90, "note": "x" * 300},
            "tenantId": tenant,
            "timestamp": "2026-06-01T08:00:00Z",
        }
    )


async def hear() -> dict[str, int]:
    """Until its input ends: when the first byte of each call came, by the number in its path."""
    at: dict[str, int] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(1)
        now = time.time_ns()
        head = first + await reader.readuntil(b"\r\n\r\n")
        at.setdefault(head[len(PATH) :].split(b" ", 1)[0].decode(), now)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    return at


def main(order: str, *given: str) -> None:
    if order == "hear":
        noted = uvloop.run(hear())
    else:
        url, rate, total = given
        noted = uvloop.run(write(url, int(rate), int(total)))
    print(json.dumps(noted))


if __name__ == "__main__":
    main(*sys.argv[1:])
