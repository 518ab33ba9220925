"""The world of each test."""

from collections.abc import AsyncIterator

import pytest

from tests.infrastructure.databases import ClonedDatabase
from tests.integration.domain.world import populated
from tests.integration.rules.house import House


@pytest.fixture
async def house(database: ClonedDatabase) -> AsyncIterator[House]:
    world = await populated(database)
    yield House(world)
    await world.close()
