"""Pools of the roles on a database of the test's own, and rows to operate on."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import asyncpg
import pytest

from schemas.headers import pack_headers
from tests.infrastructure.databases import ClonedDatabase


@pytest.fixture
async def worker(database: ClonedDatabase) -> AsyncIterator[asyncpg.Pool]:
    """Role cs_worker."""
    async with asyncpg.create_pool(database.url("worker"), min_size=1, max_size=3) as pool:
        yield pool


@pytest.fixture
async def scan(database: ClonedDatabase) -> AsyncIterator[asyncpg.Pool]:
    """Role cs_scan."""
    async with asyncpg.create_pool(database.url("scan"), min_size=1, max_size=3) as pool:
        yield pool


@pytest.fixture
async def owner(database: ClonedDatabase) -> AsyncIterator[asyncpg.Connection]:
    """The superuser, who sees and may put anything in place."""
    conn = await asyncpg.connect(database.url("superuser"))
    yield conn
    await conn.close()


HEADERS = pack_headers([("ce_type", b"ApplyAction"), ("x-mail", b"canary-4711")])
Park = Callable[..., Coroutine[Any, Any, None]]


@pytest.fixture
def park(owner: asyncpg.Connection) -> Park:
    """Puts a parked message in place, with its key's marker."""

    async def put(
        offset: int,
        key: bytes | None = b"acme|work_item|i1",
        *,
        group: str = "work-items",
        topic: str = "work-items.commands.v1",
        partition: int = 0,
        tenant: str = "acme",
        reason: str = "undecodable",
        fingerprint: str = "f1",
        value: bytes = b"secret",
        ordered: str | None = None,
    ) -> None:
        await owner.execute(
            """insert into parked_messages (group_name, topic, partition, "offset", tenant_id, key, value, headers, timestamp,
                                            reason, fingerprint, error, ordered)
               values ($1, $2, $3, $4, $5, $6, $7, $11, 0, $8, $9, 'an error at a place', $10)""",
            group, topic, partition, offset, tenant, key, value, reason, fingerprint, ordered, HEADERS,
        )  # fmt: skip
        if key is not None:
            await owner.execute(
                "insert into parked_keys values ($1, $2, $3, $4, $5) on conflict do nothing",
                group,
                topic,
                partition,
                key,
                tenant,
            )

    return put
