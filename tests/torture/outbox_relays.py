"""Relays as processes of their own, to be killed, frozen and woken by a test that started them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from runtime.failpoints import VARIABLE
from tests.waiting import until

FAILPOINTS = (
    "relay.before-fetch",
    "relay.before-send",
    "relay.after-send",
    "relay.after-ack",
    "relay.before-delete",
    "relay.after-delete",
    "relay.before-floor",
    "relay.after-floor",
)


class RelayProcess:
    """One relay. Its log goes to `log`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode

    def send(self, number: signal.Signals) -> None:
        if self.exit_code is None:
            self._process.send_signal(number)

    async def ended(self, deadline: float = 90.0) -> int:
        """Its exit code; fails when it does not end in time."""
        return await asyncio.wait_for(self._process.wait(), deadline)

    async def frozen(self, deadline: float = 90.0) -> None:
        """Returns when the process stands still (SIGSTOP)."""
        stat = Path(f"/proc/{self.pid}/stat")
        await until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", deadline, "the frozen relay")

    async def terminate(self) -> int:
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        return await self.ended()


@asynccontextmanager
async def relay_process(environment: Mapping[str, str], log: Path, failpoint: str = "") -> AsyncIterator[RelayProcess]:
    """A running relay with these settings; killed at the end if it still lives."""
    variables = {"PATH": os.environ["PATH"], **environment, **({VARIABLE: failpoint} if failpoint else {})}
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.torture.outbox_relay_process", env=variables, stdout=output, stderr=output
        )
    relay = RelayProcess(process)
    try:
        yield relay
    finally:
        relay.send(signal.SIGKILL)
        await relay.ended()
