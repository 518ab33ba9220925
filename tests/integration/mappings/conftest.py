"""The world of each test."""

from collections.abc import AsyncIterator

import pytest

from tests.infrastructure.databases import ClonedDatabase
from tests.integration.domain.world import World, populated


@pytest.fixture
async def world(database: ClonedDatabase) -> AsyncIterator[World]:
    found = await populated(database)
    yield found
    await found.close()
