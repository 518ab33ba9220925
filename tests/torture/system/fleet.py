"""Our processes as an orchestrator would run them: one role each, by name, started again by whoever killed them."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from runtime.stack.ports import free_ports
from tests.waiting import until

PROJECT = Path(__file__).resolve().parents[3]
READY_SECONDS = 90.0
# A member that is frozen when its test is killed could not leave by itself.
_TIE = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
# What an orchestrator would grant before it kills.
LEAVE_SECONDS = 20.0


@dataclass
class Member:
    """`python -m runtime.cli run ROLE --number N`, tied to this process by its stdin."""

    role: str
    number: int
    environment: Mapping[str, str] = field(repr=False)
    log: Path
    health_port: int
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    expected_to_live: bool = False
    died_of: str = ""

    @property
    def name(self) -> str:
        return f"{self.role}-{self.number}"

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} was never started"
        return self.process.pid

    def start(self) -> None:
        """Start it under its static name; the log is continued."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [*_TIE, sys.executable, "-m", "runtime.cli", "run", self.role, "--number", str(self.number), "--tied"],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                cwd=PROJECT,
                start_new_session=True,
                env={**self.environment, "CASESTREAM_HEALTH__PORT": str(self.health_port)},
            )
        self.expected_to_live = True

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it still lives."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self.expected_to_live = False
        self.send(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    async def leave(self) -> tuple[int, float]:
        """SIGTERM: its exit code and how long it took. A process that stays longer than it may is killed, as it would be."""
        assert self.process is not None
        self.expected_to_live = False
        began = time.monotonic()
        self.send(signal.SIGTERM)
        process = self.process
        try:
            await until(lambda: process.poll() is not None, LEAVE_SECONDS + 5, f"the end of {self.name}")
        except AssertionError:
            self.kill()
        return int(process.wait()), time.monotonic() - began

    @property
    def died(self) -> bool:
        """It ended although nobody ended it."""
        return self.expected_to_live and self.process is not None and self.process.poll() is not None

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-1500:]

    def rss_mb(self) -> float:
        """Resident memory now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    async def is_ready(self) -> bool:
        """Whether its own page says so."""
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
                return (await client.get(f"http://127.0.0.1:{self.health_port}/readyz")).status_code == 200
        except httpx.HTTPError:
            return False

    async def metric(self, name: str, **labels: str) -> float | None:
        """The sum of a metric's samples with these labels; None when the process does not answer."""
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
                page = (await client.get(f"http://127.0.0.1:{self.health_port}/metrics")).text
        except httpx.HTTPError:
            return None
        samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


async def _ready_or_dead(member: Member) -> bool:
    return member.died or await member.is_ready()


class Fleet:
    """All members, by name."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("CASESTREAM_", "DATABASE", "KAFKA"))}
        self._environment, self.folder = {**own, **environment}, folder
        self.members: dict[str, Member] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def __getitem__(self, name: str) -> Member:
        return self.members[name]

    def add(self, role: str, number: int = 0) -> Member:
        """A further member, started."""
        # The API answers probes on its own port; every other role has a page of its own.
        port = int(self._environment["CASESTREAM_HTTP__PORT"]) if role == "api" else free_ports(1)[0]
        member = Member(role, number, self._environment, self.folder / f"{role}-{number}.log", port)
        self.members[member.name] = member
        member.start()
        return member

    async def ready(self, names: Iterable[str] | None = None) -> None:
        """Wait until these (or all) say that they are ready."""
        for member in [self.members[name] for name in names] if names else list(self.members.values()):
            try:
                await until(partial(_ready_or_dead, member), READY_SECONDS, "a process to be ready")
            except AssertionError:
                member.died_of = "not ready in time"
            verdict = "died" if member.died else member.died_of
            assert not verdict, f"{member.name} {verdict}: {member.last_words()}"

    def deaths(self) -> list[str]:
        """Who died without having been killed."""
        return [name for name, member in self.members.items() if member.died]

    def pids(self) -> dict[str, int]:
        return {name: member.pid for name, member in self.members.items()}

    def kill(self) -> None:
        """SIGKILL to all at once."""
        for member in self.members.values():
            member.expected_to_live = False
            member.send(signal.SIGKILL)
        for member in self.members.values():
            member.kill()

    def start(self) -> None:
        """Start all that do not run."""
        for member in self.members.values():
            if member.process is None or member.process.poll() is not None:
                member.start()

    async def leave(self) -> dict[str, tuple[int, float]]:
        """SIGTERM to all: exit code and seconds of each."""
        left = await asyncio.gather(*(member.leave() for member in self.members.values()))
        return dict(zip(self.members, left, strict=True))
