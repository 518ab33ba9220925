"""`casestream keys` as an operator types it, in processes of its own, killed where it hurts."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from domain.keys.shred import Shredder, resume
from runtime.cli.purgers import PURGERS
from runtime.keys.ledger_file import LedgerFile
from runtime.keys.ring import KeyRing
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.keys import keks

Pools = dict[str, asyncpg.Pool]
AN, BINH = ("acme", "an"), ("acme", "binh")
ROOT = Path(__file__).parents[3]


class Commands:
    """Runs `casestream keys ...` on this test's databases."""

    def __init__(self, database: ClonedDatabase, home: Path) -> None:
        self.ledger = LedgerFile(home / "ledger.jsonl")
        self._environ = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database.url("migrate"),
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "CASESTREAM_HOME": str(home),
            "CASESTREAM_KEYS__LEDGER_FILE": str(home / "ledger.jsonl"),
            "CASESTREAM_KEYS__PROVIDER": "environment",
            "CASESTREAM_KEYS__KEKS": keks("kek-1"),
        }

    async def __call__(self, *words: str, expect: int = 0, **environ: str) -> Any:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "runtime.cli", "--output", "json", "keys", *words,
            env=self._environ | environ, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 300)
        assert process.returncode == expect, err.decode()
        return json.loads(out) if expect == 0 and out.strip() else err.decode()


@pytest.fixture
def keys(database: ClonedDatabase, keys_database: ClonedDatabase, tmp_path: Path) -> Commands:
    return Commands(database, tmp_path)


async def test_list_rotate_and_rewrap(keys: Commands, ring: KeyRing, pools: Pools) -> None:
    await ring.current([AN, BINH])
    rotated = await keys("rotate", *AN, "--reason", "a leak")
    listed = await keys("list", "--subject", "an")
    assert [row["generation"] for row in listed] == [1, 2]
    assert listed[1]["key_id"] == rotated["key_id"]
    assert "wrapped" not in listed[0]
    done = await keys("rewrap", CASESTREAM_KEYS__KEKS=keks("kek-2", "kek-1"))
    assert done == {"kek_id": "kek-2", "seen": 3, "rewrapped": 3, "broken": 0}
    assert [(row["kek_id"], row["keys"], row["subjects"]) for row in await keys("list")] == [("kek-2", 3, 2)]
    actions = await pools["superuser"].fetch("select tenant_id, action, object_id, reason from audit_log order by at")
    assert [tuple(row) for row in actions] == [("acme", "keys.rotate", "an", "a leak"), ("", "keys.rewrap", "kek-2", None)]


@pytest.mark.requirement("trap-80")
async def test_a_shred_is_a_dry_run_unless_it_is_meant(keys: Commands, ring: KeyRing, keys_pool: asyncpg.Pool) -> None:
    await ring.current([AN])
    assert (await keys("shred", *AN))["rows"] == {"data_keys": 1}
    assert "needs --reason" in await keys("shred", *AN, "--execute", expect=3)
    assert "was not shredded" in await keys("report", *AN, expect=3)
    assert await keys_pool.fetchval("select count(*) from data_keys") == 1
    assert keys.ledger.read() == []

    report = await keys("shred", *AN, "--execute", "--reason", "asked to")

    assert (report["keys_destroyed"], report["reason"], report["requested_by"][:4]) == (1, "asked to", "cli:")
    assert report["purged_at"] is not None
    assert await keys("report", *AN) == report
    assert [entry.place for entry in keys.ledger.read()] == [AN]
    assert await keys("rotate", *AN, expect=1) != ""


@pytest.mark.requirement("trap-80")
async def test_a_killed_shred_is_finished_by_whoever_resumes(
    keys: Commands, ring: KeyRing, keys_pool: asyncpg.Pool, pools: Pools
) -> None:
    await ring.current([AN])
    order = ("shred", *AN, "--execute", "--reason", "asked to")
    await keys(*order, expect=-signal.SIGKILL, CASESTREAM_FAILPOINT="shred.after-keys-ledger")
    assert await keys_pool.fetchval("select count(*) from data_keys") == 1
    shredder = Shredder(pools["worker"], keys_pool, keys.ledger, PURGERS)
    assert await resume(shredder, pools["scan"], everything=False) == 1
    assert await keys_pool.fetchval("select count(*) from data_keys") == 0
    assert (await keys("report", *AN))["purged_at"] is not None
    assert "0 subject(s) were missing" in await keys("settle")


@pytest.mark.requirement("trap-79", "trap-84")
async def test_no_command_prints_a_secret(keys: Commands, ring: KeyRing, keys_pool: asyncpg.Pool) -> None:
    key = (await ring.current([AN]))[AN]
    wrapped = bytes(await keys_pool.fetchval("select wrapped from data_keys"))
    said = [
        str(await keys("list")),
        str(await keys("list", "--tenant", "acme")),
        str(await keys("rotate", *AN)),
        str(await keys("rewrap", CASESTREAM_KEYS__KEKS=keks("kek-2"), expect=3)),
        str(await keys("rewrap", CASESTREAM_KEYS__KEKS="kek-1:canary-not-base64", expect=3)),
        str(await keys("list", KEYS_DATABASE_URL="postgresql://x:canary-password@127.0.0.1:1/k", expect=3)),
    ]
    for text in said:
        for secret in (key.secret.hex(), wrapped.hex(), keks("kek-1").partition(":")[2], "canary"):
            assert secret not in text
