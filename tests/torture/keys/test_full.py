"""The full counts of keys: `make torture ARGS="-k keys"`. The suite runs each step once and short.

A step that has run in full is skipped; its line is in benchmarks/results.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.infrastructure.databases import ClonedDatabase
from tests.integration.keys.rewrapping import check_books, rewrapped_though_killed
from tests.torture.system.record import run_step
from tests.unit.keys.encryptions import check_messages, many_messages

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200)]


@pytest.mark.requirement("trap-84")
async def test_a_million_keys_are_rewrapped_though_killed(
    database: ClonedDatabase, keys_database: ClonedDatabase, tmp_path: Path
) -> None:
    async def rewrap(count: int) -> dict[str, Any]:
        return await rewrapped_though_killed(database, keys_database, tmp_path, count)

    await run_step("keys: rewrap, killed and started again", 1_000_000, rewrap, check_books)


@pytest.mark.requirement("trap-84")
async def test_ten_million_messages_share_no_salt_and_no_nonce() -> None:
    async def encrypt(count: int) -> dict[str, Any]:
        return many_messages(count)

    await run_step("keys: messages, salts and nonces compared", 10_000_000, encrypt, check_messages)
