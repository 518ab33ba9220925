"""A house of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.projections.house import House, open_house
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka


@pytest.fixture
async def house(
    database: ClonedDatabase, keys_database: ClonedDatabase, fresh_kafka: FreshKafka, tmp_path: Path
) -> AsyncIterator[House]:
    async with open_house(database, keys_database, fresh_kafka, tmp_path) as opened:
        yield opened
