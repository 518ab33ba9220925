"""`casestream relay` as a person or a script runs it."""

import json
import os
import subprocess
import sys
from typing import Any

import asyncpg

from runtime.stack.asking import ask
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.outbox_relay.rows import OutboxRow, insert, name_in_shard


def casestream(database: ClonedDatabase, *arguments: str) -> Any:
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database.url("migrate"),
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
    }
    command = [sys.executable, "-m", "runtime.cli", *arguments, "--output", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def _prepare(database: ClonedDatabase) -> None:
    writer, scan = [await asyncpg.connect(database.url(role)) for role in ("worker", "scan")]
    await insert(writer, [OutboxRow(name_in_shard(5), number) for number in range(1, 4)])
    await scan.execute("update relay_shards set owner = 'one', term = 7, expires_at = cs_now() + interval '6 s'")
    await scan.execute("update relay_shards set floor = 2 where shard = 5")
    await writer.close()
    await scan.close()


def test_status_shows_owner_term_floor_and_backlog_of_every_shard(database: ClonedDatabase) -> None:
    ask(_prepare(database))

    shards = casestream(database, "relay", "status")

    assert [row["shard"] for row in shards] == list(range(16))
    fifth = shards[5]
    assert (fifth["owner"], fifth["term"], fifth["floor"], fifth["unsent"]) == ("one", 7, 2, 1)
    assert 0 <= fifth["oldest_unsent_seconds"] < 60
    assert shards[4]["oldest_unsent_seconds"] is None


def test_reset_floor_is_a_dry_run_until_it_is_told_to_execute(database: ClonedDatabase) -> None:
    ask(_prepare(database))

    assert casestream(database, "relay", "reset-floor") == {"shards": 16, "rows_below_their_floor": 2}
    assert casestream(database, "relay", "status")[5]["floor"] == 2
    casestream(database, "relay", "reset-floor", "--execute")

    fifth = casestream(database, "relay", "status")[5]
    assert (fifth["owner"], fifth["term"], fifth["floor"], fifth["unsent"]) == (None, 8, 0, 3)
