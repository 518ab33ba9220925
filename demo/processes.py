"""The demo's own processes: `casestream run all`, its children by name, and killing one of them."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx

from schemas.errors import TransientError


@dataclass
class Processes:
    """All roles under one supervisor; its log tells which child is which process."""

    supervisor: Popen[bytes]
    url: str
    log: Path

    @classmethod
    def start(cls, log: Path, environment: Mapping[str, str]) -> "Processes":
        """Start every role with these settings too; the API on a free port."""
        port = free_port()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            supervisor = Popen(
                [sys.executable, "-m", "runtime.cli", "run", "all"],
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={**os.environ, **environment, "CASESTREAM_HTTP__PORT": str(port)},
            )
        return cls(supervisor, f"http://127.0.0.1:{port}", log)

    async def ready(self, deadline: float = 60.0) -> None:
        """Wait until the API says that it can work. Raises TransientError with the place of the log."""
        async with httpx.AsyncClient(trust_env=False) as client:
            end = asyncio.get_running_loop().time() + deadline
            while asyncio.get_running_loop().time() < end and self.supervisor.poll() is None:
                try:
                    if (await client.get(f"{self.url}/readyz")).status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
        raise TransientError(f"the processes did not get ready: see {self.log}, or ask casestream doctor")

    def pid(self, child: str) -> int:
        """The newest process of a child, as the supervisor logged it."""
        pids = [entry["pid"] for entry in self._entries() if entry.get("role") == child and entry["event"] == "child started"]
        if not pids:
            raise TransientError(f"no child {child!r} was started: see {self.log}")
        return int(pids[-1])

    def kill(self, child: str) -> int:
        """SIGKILL a child, which the supervisor starts again; returns the killed process id."""
        pid = self.pid(child)
        os.kill(pid, signal.SIGKILL)
        return pid

    async def restarted(self, child: str, killed: int, deadline: float = 30.0) -> None:
        """Wait until the supervisor has started another process for the child."""
        end = asyncio.get_running_loop().time() + deadline
        while self.pid(child) == killed:
            if asyncio.get_running_loop().time() > end:
                raise TransientError(f"{child} was not started again: see {self.log}")
            await asyncio.sleep(0.05)

    def stop(self) -> None:
        """Ask all to finish and leave."""
        if self.supervisor.poll() is None:
            self.supervisor.send_signal(signal.SIGTERM)
            self.supervisor.wait(40)

    def _entries(self) -> list[dict[str, Any]]:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
