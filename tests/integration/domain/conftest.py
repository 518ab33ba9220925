"""The world of each test."""

import pytest

from tests.infrastructure.databases import ClonedDatabase
from tests.integration.domain.world import World, populated


@pytest.fixture
async def world(database: ClonedDatabase) -> World:
    return await populated(database)
