"""The world of these tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.rebuild.world import World, running_world
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka


@pytest.fixture
async def world(
    database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka, tmp_path: Path
) -> AsyncIterator[World]:
    async with running_world(database, keys_database, fresh_kafka, tmp_path) as made:
        yield made
