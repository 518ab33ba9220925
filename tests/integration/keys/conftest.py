"""A ring, its databases, and tenants to work for."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest

from runtime.keys.local_keks import LocalKeks
from runtime.keys.ring import KeyCache, KeyRing
from runtime.settings import KeySettings, Settings
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.keys import KEKS, keks

__all__ = ["keks", "provider", "settings_for"]

TENANTS = ("acme", "other")


def settings_for(database: ClonedDatabase, home: Path, **changes: str) -> Settings:
    """Settings of a process on this test's databases, with two key-encryption keys in its environment."""
    given = {
        "DATABASE_URL": database.url("migrate"),
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "CASESTREAM_HOME": str(home),
        "CASESTREAM_KEYS__PROVIDER": "environment",
        "CASESTREAM_KEYS__KEKS": keks("kek-1"),
    }
    return Settings.load({**given, **changes})


def provider(*names: str) -> LocalKeks:
    return LocalKeks({name: KEKS[name] for name in names or ("kek-1",)})


@pytest.fixture
async def keys_pool(keys_database: ClonedDatabase) -> AsyncIterator[asyncpg.Pool]:
    """Role cs_keys on the keys database."""
    async with asyncpg.create_pool(keys_database.url("keys"), min_size=1, max_size=4) as pool:
        yield pool


@pytest.fixture
def ring(keys_pool: asyncpg.Pool) -> KeyRing:
    return KeyRing(keys_pool, provider(), KeyCache(KeySettings()))


@pytest.fixture
async def pools(database: ClonedDatabase) -> AsyncIterator[dict[str, asyncpg.Pool]]:
    """Pools of the main database by role, with two tenants in it."""
    async with AsyncExitStack() as stack:
        made = {
            role: await stack.enter_async_context(asyncpg.create_pool(database.url(role), min_size=0, max_size=5))
            for role in ("worker", "scan", "api", "superuser")
        }
        for tenant in TENANTS:
            await made["superuser"].execute("insert into tenants (tenant_id, name) values ($1, $1)", tenant)
        yield made
