"""A consumer whose broker is away is closed all the same."""

import asyncio
from typing import Any, cast

import pytest

from runtime.kafka import leave


class Interrupted:
    """A consumer whose stop lets out the cancellation of one of its own fetches, as aiokafka's does."""

    def __init__(self) -> None:
        self.client_closed = False
        self._client = self

    async def close(self) -> None:
        self.client_closed = True

    async def stop(self) -> None:
        fetch = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        fetch.cancel()
        await fetch


async def test_a_fetch_that_lets_its_cancellation_out_keeps_nobody_from_leaving() -> None:
    consumer = Interrupted()
    await leave(cast(Any, consumer))
    assert consumer.client_closed


async def test_who_is_cancelled_himself_is_cancelled() -> None:
    class Slow(Interrupted):
        async def stop(self) -> None:
            await asyncio.sleep(60)

    leaving = asyncio.create_task(leave(cast(Any, Slow())))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
