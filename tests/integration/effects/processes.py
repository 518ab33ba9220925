"""Processes of effects and timers on a test's database."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runtime.failpoints import VARIABLE
from tests.integration.effects.world import Ground

TABLES = """
create table heard (effect_id uuid, result text);
create table noted (timer_key text);
grant select, insert on heard, noted to cs_worker;
"""


@asynccontextmanager
async def process(ground: Ground, port: int, failpoint: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
    """One process, ended with the block. Its leases are short, so that a takeover comes soon."""
    environment = {
        **os.environ,
        "DATABASE_URL": ground.database.url("migrate"),
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "CASESTREAM_EFFECTS__LEASE_SECONDS": "1.5",
        "CASESTREAM_EFFECTS__RENEW_SECONDS": "0.3",
        "CASESTREAM_EFFECTS__CHANNEL_IN_FLIGHT": "64",
        "CASESTREAM_EFFECTS__CIRCUIT_FAILURES": "1000",
        VARIABLE: failpoint,
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.effects.process", str(port), env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGCONT)
            child.terminate()
            try:
                await asyncio.wait_for(child.wait(), 15)
            except TimeoutError:
                child.kill()
                await child.wait()
