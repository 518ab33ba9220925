"""A pool's connections give up on a server that does not answer: a half-open connection must not freeze its owner."""

import pytest

from runtime import postgres
from runtime.settings import Settings
from tests.infrastructure.databases import ClonedDatabase


@pytest.mark.parametrize("role", ["api", "worker", "scan"])
async def test_a_statement_without_an_answer_ends_as_a_transient_fault(
    database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch, role: postgres.Role
) -> None:
    settings = Settings.load({"DATABASE_URL": database.url("migrate"), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    assert postgres.ANSWER_SECONDS <= 8
    monkeypatch.setattr(postgres, "ANSWER_SECONDS", 0.2)
    async with await postgres.open_pool(settings, role, size=1) as pool:
        with pytest.raises(TimeoutError) as raised:
            await pool.execute("select pg_sleep(3)")
        assert postgres.is_transient(raised.value)
        assert await pool.fetchval("select 1") == 1
