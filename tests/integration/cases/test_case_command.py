"""`casestream case` and `casestream audit verify` as an operator types them, in processes of their own."""

import asyncio
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from runtime.stack.audit_key import ensure_audit_key
from runtime.stack.home import Home
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.keys import key_environment
from tests.integration.domain.world import World, populated
from tests.waiting import until

ROOT = Path(__file__).parents[3]
DOCUMENT = '{"total": 12.50, "customer": {"name": "Le Van Canary"}, "serial": 12345678901234567890123}'


class Commands:
    """Runs `casestream` on this test's databases."""

    def __init__(self, database: ClonedDatabase, home: Path) -> None:
        self.world: World
        self.keys: ClonedDatabase
        self._home = home
        self._environ = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database.url("migrate"),
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "CASESTREAM_HOME": str(home),
            **key_environment(database),
        }

    async def __call__(self, *words: str, said: str = "", expect: int = 0) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "runtime.cli", "--output", "json", *words, env=self._environ, cwd=ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(said.encode()), 300)
        assert process.returncode == expect, (out + err).decode()
        return (out if expect in (0, 1) else err).decode()

    async def store(self, *more: str, said: str = DOCUMENT, expect: int = 0) -> str:
        words = ("case", "store", "o-1", "--tenant", "north", "--class", "com.app.OrderCase", "--subject", "s-1")
        return await self(*words, *more, said=said, expect=expect)


@pytest.fixture
async def casestream(database: ClonedDatabase, keys_database: ClonedDatabase, tmp_path: Path) -> Any:
    made = Commands(database, tmp_path)
    made.world, made.keys = await populated(database), keys_database
    ensure_audit_key(Home(tmp_path, tmp_path))
    yield made
    await made.world.close()


@pytest.mark.requirement("CD-2")
async def test_a_case_is_stored_shown_listed_and_removed(casestream: Commands) -> None:
    assert json.loads(await casestream.store())[0]["version"] == 1
    assert json.loads(await casestream.store("--expected-version", "1"))[0]["version"] == 2
    assert "ConflictState" in await casestream.store("--expected-version", "1", expect=3)
    assert "DocumentRefused" in await casestream.store(said='{"a": 1, "a": 2}', expect=3)
    shown = await casestream("case", "show", "o-1", "--tenant", "north", "--reason", "a drill")
    assert "Canary" not in shown
    assert "12345678901234567890123" in shown
    whole = await casestream("case", "show", "o-1", "--tenant", "north", "--reason", "a drill", "--version", "1", "--sensitive")
    assert DOCUMENT[1:] in whole
    await casestream("case", "remove", "o-1", "--tenant", "north")
    assert "CaseRemoved" in await casestream("case", "show", "o-1", "--tenant", "north", "--reason", "a drill", expect=3)
    listed = json.loads(await casestream("case", "versions", "o-1", "--tenant", "north"))
    assert [(row["version"], row["removed"]) for row in listed] == [(3, True), (2, False), (1, False)]
    readings = await casestream.world.look("select reason from audit_log where action = 'case.read'")
    assert [row["reason"] for row in readings] == ["a drill"] * 3


STANDING = (
    "select from pg_stat_activity where usename = 'cs_worker' and datname = current_database() and xact_start is not null"
)
WAITING = "select from pg_stat_activity where usename = 'cs_keys' and datname = current_database() and wait_event_type = 'Lock'"


@pytest.mark.requirement("CD-2")
async def test_no_command_waits_for_a_key_in_its_transaction(casestream: Commands) -> None:
    """Storing draws numbers that relays wait behind, showing holds the subject against a shred."""
    await casestream.store()
    showing = ("case", "show", "o-1", "--tenant", "north", "--reason", "a drill")
    keys, looking, main = [
        await asyncpg.connect(one.url("superuser")) for one in (casestream.keys, casestream.keys, casestream.world.database)
    ]
    for deed in (casestream.store, partial(casestream, *showing)):
        async with keys.transaction():
            # Asking for a key waits behind this; what a process asks at its start does not.
            await keys.execute("lock table shredded_subjects in access exclusive mode")
            running = asyncio.ensure_future(deed())
            await until(lambda: looking.fetch(WAITING), 60, "the command to ask for the key")
            assert await main.fetch(STANDING) == []
        await running
    for conn in (keys, looking, main):
        await conn.close()


async def test_verify_says_whole_and_names_what_is_not(casestream: Commands) -> None:
    await casestream.store()
    await casestream("case", "show", "o-1", "--tenant", "north", "--reason", "a drill")
    verdicts = json.loads(await casestream("audit", "verify"))
    assert [(row["chain"], row["verdict"]) for row in verdicts] == [("-", "whole"), ("north", "whole"), ("south", "whole")]
    pool = await casestream.world.pool("superuser")
    await pool.execute("delete from audit_unchained")
    found = json.loads(await casestream("audit", "verify", "--tenant", "north", expect=1))
    assert [row["kind"] for row in found] == ["inserted"]
