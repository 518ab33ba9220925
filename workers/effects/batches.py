"""One batch at a time per key, keys side by side: what arrives while a key's batch is on its way becomes its next batch.

A key that rests lets as much time pass after a batch as the batch took, unless it was full. So a busy machine makes fewer and
larger batches of what nobody waits for, and on an idle one the rest is as short as the work.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Item = TypeVar("Item")


class Batches(Generic[Key, Item]):
    """`work(key, items)` gets at most `size` items and must not raise; at most `abreast` run at once; `rests`: who rests."""

    def __init__(
        self,
        work: Callable[[Key, list[Item]], Awaitable[None]],
        *,
        size: int,
        abreast: int,
        rests: Callable[[Key], bool] = lambda _key: False,
    ) -> None:
        self._work, self._size, self._rests = work, size, rests
        self._places = asyncio.Semaphore(abreast)
        self._waiting: defaultdict[Key, list[Item]] = defaultdict(list)
        self._running: dict[Key, asyncio.Task[None]] = {}

    def put(self, key: Key, item: Item) -> None:
        """Add an item; its batch begins at once if none of its key is on its way."""
        self._waiting[key].append(item)
        if key not in self._running:
            self._running[key] = asyncio.create_task(self._drain(key))

    async def join(self) -> None:
        """Wait until nothing waits and nothing is on its way."""
        while self._running:
            await asyncio.wait(list(self._running.values()))

    async def _drain(self, key: Key) -> None:
        try:
            while self._waiting[key]:
                async with self._places:
                    batch = self._waiting[key][: self._size]
                    del self._waiting[key][: self._size]
                    began = time.monotonic()
                    await self._work(key, batch)
                if len(batch) < self._size and self._rests(key):
                    await asyncio.sleep(time.monotonic() - began)
        finally:
            del self._running[key]
            if not self._waiting[key]:
                del self._waiting[key]
