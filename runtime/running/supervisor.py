"""One child process per role on one machine, for a developer's laptop and for small installations.

A child that dies is started again: at once the first time, then with growing pauses, and at once again after it has
lived for a while. Owns only its own children and signals nothing else; each child holds the reading end of a pipe and
leaves by itself when the supervisor is gone. An orchestrator that runs the roles itself needs none of this.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runtime.logging import get_logger
from runtime.running.process import GRACE_SECONDS

log = get_logger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
# A child that lived so long was well: its next death is a first one.
_WELL_AFTER_SECONDS = 30.0
_PATIENCE_SECONDS = GRACE_SECONDS + 4.0


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep alive: the arguments behind `casestream`, and what its environment has of its own."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


def pause_before(deaths: int) -> float:
    """Seconds before the start after that many deaths in a row: none after the first, then doubling."""
    return 0.0 if deaths <= 1 else min(_FIRST_PAUSE * 2.0 ** (deaths - 2), _LONGEST_PAUSE)


async def supervise(children: Sequence[Child], stop: asyncio.Event) -> bool:
    """Keep all children alive until `stop`, then end them; True when each left with exit code 0."""
    kept = await asyncio.gather(*(_keep(child, stop) for child in children))
    return all(kept)


async def _keep(child: Child, stop: asyncio.Event) -> bool:
    deaths = 0
    while not stop.is_set():
        began = time.monotonic()
        process = await _start(child)
        log.info("child started", role=child.name, pid=process.pid)
        if await _ended_before(stop, process):
            deaths = 1 if time.monotonic() - began > _WELL_AFTER_SECONDS else deaths + 1
            pause = pause_before(deaths)
            log.error(
                "child died and is started again",
                role=child.name, pid=process.pid, exit_code=process.returncode, attempt=deaths, delay_ms=int(pause * 1000),
            )  # fmt: skip
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
        else:
            return await _end(child, process)
    return True


async def _start(child: Child) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "runtime.cli",
        *child.arguments,
        stdin=asyncio.subprocess.PIPE,
        env={**os.environ, **child.environment},
        # Ctrl-C at the terminal reaches us alone; the children hear it from us, once.
        start_new_session=True,
    )


async def _ended_before(stop: asyncio.Event, process: asyncio.subprocess.Process) -> bool:
    ended, stopping = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
    await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
    died = ended.done() and not stop.is_set()
    for task in (ended, stopping):
        task.cancel()
    return died


async def _end(child: Child, process: asyncio.subprocess.Process) -> bool:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), _PATIENCE_SECONDS)
    except TimeoutError:
        log.error("child did not leave in time and is killed", role=child.name, pid=process.pid)
        process.kill()
        await process.wait()
    log.info("child ended", role=child.name, pid=process.pid, exit_code=process.returncode)
    return process.returncode == 0
