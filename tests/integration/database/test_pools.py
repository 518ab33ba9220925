"""A pool's connections give up on a server that does not answer: a half-open connection must not freeze its owner."""

import asyncio

import pytest

from runtime import postgres
from runtime.settings import Settings
from tests.infrastructure.databases import ClonedDatabase

ROLES: tuple[postgres.Role, ...] = ("api", "worker", "scan")


async def test_a_statement_without_an_answer_ends_as_a_transient_fault(
    database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.load({"DATABASE_URL": database.url("migrate"), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    assert postgres.ANSWER_SECONDS <= 8
    # Enough for a busy machine to open the pools and to answer the second statement.
    monkeypatch.setattr(postgres, "ANSWER_SECONDS", 2.0)

    async def give_up(role: postgres.Role) -> None:
        async with await postgres.open_pool(settings, role, size=1) as pool:
            with pytest.raises(TimeoutError) as raised:
                await pool.execute("select pg_sleep(30)")
            assert postgres.is_transient(raised.value)
            assert await pool.fetchval("select 1") == 1

    await asyncio.gather(*map(give_up, ROLES))
