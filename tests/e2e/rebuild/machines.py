"""Processes of table versions that a test starts, arms with a failpoint, and kills."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from runtime.failpoints import VARIABLE
from tests.waiting import until


class Machine:
    """One such process."""

    def __init__(self, environ: dict[str, str], number: int, failpoint: str) -> None:
        self._log = tempfile.NamedTemporaryFile(prefix="casestream-rebuild-", suffix=".log")  # noqa: SIM115 - closed in `end`
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CASESTREAM_", "DATABASE", "KAFKA", "KEYS_"))
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.rebuild.process", str(number)],
            env=own | environ | ({VARIABLE: failpoint} if failpoint else {}),
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[3],
        )

    def log(self) -> str:
        return Path(self._log.name).read_text(errors="replace")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    async def killed_itself(self, seconds: float = 60.0) -> None:
        """Until its failpoint has killed it."""
        await until(lambda: not self.alive, seconds, f"the failpoint; its log: {self.log()[-3000:]}")
        assert self._process.returncode == -9, self.log()[-3000:]

    def end(self) -> None:
        if self.alive:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        self._log.close()


class Machines:
    """Starts them, each under a number of its own."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ, self._count = environ, 0
        self.started: list[Machine] = []

    def start(self, failpoint: str = "") -> Machine:
        self._count += 1
        machine = Machine(self._environ, self._count, failpoint)
        self.started.append(machine)
        return machine


@asynccontextmanager
async def machines(environ: dict[str, str]) -> AsyncIterator[Machines]:
    """Ends what still runs."""
    made = Machines(environ)
    try:
        yield made
    finally:
        for machine in made.started:
            machine.end()
        await asyncio.sleep(0)
