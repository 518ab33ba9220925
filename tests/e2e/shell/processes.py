"""Members as real processes: armed with a failpoint, killed, frozen, thawed."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from runtime.failpoints import VARIABLE
from tests.waiting import until


class MemberProcess:
    """A running member of `group`. `environ` are its settings."""

    def __init__(self, environ: dict[str, str], group: str, instance: str, failpoint: str = "") -> None:
        self._log = tempfile.NamedTemporaryFile(prefix="casestream-member-", suffix=".log")  # noqa: SIM115 - closed in `end`
        own = {name: value for name, value in os.environ.items() if not name.startswith(("CASESTREAM_", "DATABASE", "KAFKA"))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.shell.member_process", group, instance],
            env=own | environ | ({VARIABLE: failpoint} if failpoint else {}),
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[3],
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def log(self) -> str:
        return Path(self._log.name).read_text(errors="replace")

    def state(self) -> str:
        """The kernel's letter: R, S, T (stopped) ..., or X when it is gone."""
        if self._process.poll() is not None:
            return "X"
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def rss_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def ended(self, deadline: float = 60.0) -> int:
        """Its exit status: negative for a signal."""
        await until(lambda: self._process.poll() is not None, deadline, f"the end of the member; its log: {self.log()[-2000:]}")
        return int(self._process.returncode)

    async def stopped(self, deadline: float = 60.0) -> None:
        """Frozen by its failpoint."""
        await until(lambda: self.state() in ("T", "X"), deadline, "the member's stop")
        assert self.state() == "T", self.log()[-2000:]

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._log.close()


@asynccontextmanager
async def processes(environ: dict[str, str], group: str) -> AsyncIterator["Starter"]:
    """Starts members of `group`; ends what still runs."""
    starter = Starter(environ, group)
    try:
        yield starter
    finally:
        for member in starter.started:
            member.end()
        await asyncio.sleep(0)


class Starter:
    """`start(instance, failpoint)` for one group."""

    def __init__(self, environ: dict[str, str], group: str) -> None:
        self._environ, self._group = environ, group
        self.started: list[MemberProcess] = []

    def start(self, instance: str, failpoint: str = "") -> MemberProcess:
        member = MemberProcess(self._environ, self._group, instance, failpoint)
        self.started.append(member)
        return member
