"""Journeys of tenant north, with a key ring of the test's own."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from runtime.keys.local_keks import LocalKeks
from runtime.keys.ring import KeyCache, KeyRing
from runtime.settings import KeySettings
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.keys import KEKS
from tests.integration.domain.world import populated
from tests.integration.onboarding.journeys import Journeys


@pytest.fixture
async def journeys(database: ClonedDatabase, keys_database: ClonedDatabase) -> AsyncIterator[Journeys]:
    world = await populated(database)
    async with asyncpg.create_pool(keys_database.url("keys"), min_size=1, max_size=4) as pool:
        yield Journeys(world, KeyRing(pool, LocalKeks({"kek-1": KEKS["kek-1"]}), KeyCache(KeySettings())))
    await world.close()
