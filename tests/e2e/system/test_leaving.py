"""A process that was never let in by its broker leaves when it is asked to, and does not ask on for ever."""

import signal
from pathlib import Path

import pytest

from runtime.stack.ports import free_ports
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.keys import key_environment
from tests.torture.system.fleet import LEAVE_SECONDS, Fleet
from tests.waiting import until


@pytest.mark.usefixtures("keys_database")
@pytest.mark.parametrize("role", ["work-items", "projections", "relay"])
async def test_a_process_without_a_broker_leaves_in_time(role: str, database: ClonedDatabase, tmp_path: Path) -> None:
    broker = f"127.0.0.1:{free_ports(1)[0]}"
    given = {"DATABASE_URL": database.url("migrate"), "KAFKA_BOOTSTRAP_SERVERS": broker, **key_environment(database)}
    member = Fleet(given, tmp_path).add(role)
    try:
        started = "process starts" if role == "relay" else "waiting for Kafka"
        await until(lambda: started in member.last_words(), 60, "the process to meet its broker's absence")
        code, seconds = await member.leave()
    finally:
        member.send(signal.SIGKILL)

    assert (code, seconds < LEAVE_SECONDS) == (0, True), member.last_words()
