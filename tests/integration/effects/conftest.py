"""The ground, a receiver on loopback, and workers that run until the test ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from tests.infrastructure.databases import ClonedDatabase
from tests.integration.effects.world import Ground, Receiver
from workers.effects.running import SEARCHES, EffectsWorker


@pytest.fixture
async def ground(database: ClonedDatabase) -> AsyncIterator[Ground]:
    async with (
        asyncpg.create_pool(database.url("scan"), min_size=1, max_size=8, server_settings=SEARCHES) as scan,
        asyncpg.create_pool(database.url("worker"), min_size=1, max_size=12) as worker,
        asyncpg.create_pool(database.url("superuser"), min_size=1, max_size=3) as owner,
    ):
        await owner.execute("insert into tenants (tenant_id, name) values ('acme', 'A'), ('beta', 'B')")
        yield Ground(database, scan, worker, owner)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as server:
        yield server


Start = Callable[[EffectsWorker], asyncio.Event]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Runs a worker until its stop event is set, or the test ends."""
    running: list[tuple[asyncio.Event, asyncio.Task[Any]]] = []

    def begin(worker: EffectsWorker) -> asyncio.Event:
        stop = asyncio.Event()
        running.append((stop, asyncio.create_task(worker.run(stop))))
        return stop

    yield begin
    for stop, _ in running:
        stop.set()
    await asyncio.gather(*(task for _, task in running))
