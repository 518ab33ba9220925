"""One world for all short attacks: three brokers, a process per role."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.torture.system.world import World, world


@pytest_asyncio.fixture(scope="module")
async def system() -> AsyncIterator[World]:
    async with world(nodes=3) as made:
        yield made
