"""Every relay shard in one hand for a while: no relay begins a page, deletes a row or moves a floor meanwhile.

The shards are taken under new terms and held by a lease that is renewed beside the caller's work. A loss ends that work at
once; a crash lets the relays go on by themselves when the lease has run out.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Coroutine
from datetime import timedelta
from typing import Any

import asyncpg

from runtime.sql import load_queries
from schemas.errors import TransientError

queries = load_queries(__file__)

LEASE_SECONDS = 10.0


class HeldShards:
    """What was taken, with its terms. `renew` is also the proof that all of it is still ours."""

    def __init__(self, pool: asyncpg.Pool, why: str, lease_seconds: float) -> None:
        self._pool, self._why, self._lease = pool, why, timedelta(seconds=lease_seconds)
        self._shards: list[int] = []
        self._terms: list[int] = []

    async def take(self) -> None:
        """All of them, whoever held them."""
        owner = f"{self._why}/{secrets.token_hex(3)}"
        rows = await queries.take_all_shards(self._pool, owner=owner, lease=self._lease)
        self._shards, self._terms = [row["shard"] for row in rows], [row["term"] for row in rows]

    async def renew(self) -> None:
        """Hold them for another lease. Raises TransientError when somebody took one."""
        kept = await queries.keep_shards(self._pool, shards=self._shards, terms=self._terms, lease=self._lease)
        if kept != len(self._shards):
            raise TransientError(f"{self._why} lost the relay's shards to another process: repeat it")

    async def keep(self) -> None:
        """Renew them for ever."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 5)
            await self.renew()

    async def give_back(self) -> None:
        """What is still ours; any relay may take it at once."""
        await queries.give_back_shards(self._pool, shards=self._shards, terms=self._terms)


@contextlib.asynccontextmanager
async def relays_stopped(pool: asyncpg.Pool, why: str, lease_seconds: float = LEASE_SECONDS) -> AsyncIterator[HeldShards]:
    """Hold every shard while the block runs. Raises TransientError, in the middle of the block, when one is lost."""
    held = HeldShards(pool, why, lease_seconds)
    await held.take()
    try:
        async with _beside(held.keep()):
            yield held
    finally:
        await held.give_back()


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Endless work beside the block: it ends with the block, and its failure ends the block."""
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work)
            yield
            task.cancel()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
