"""The command line as an operator uses it: commands in processes of their own, roles as running processes."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from runtime.stack.ports import free_ports
from tests.waiting import until

ROOT = Path(__file__).parents[3]


def _environment(environ: dict[str, str]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("CASESTREAM_", "DATABASE", "KAFKA"))}
    return own | environ


async def casestream(environ: dict[str, str], *arguments: str, expect: int = 0) -> Any:
    """Run one command to its end; its JSON answer. AssertionError unless it ends with the expected exit code."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "runtime.cli", "--output", "json", *arguments,
        env=_environment(environ), cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 300)
    assert process.returncode == expect, f"{' '.join(arguments)} ended with {process.returncode}: {err.decode()}"
    return json.loads(out) if out.strip() and expect in (0, 4) else err.decode()


class Running:
    """A `casestream run` process. It leaves when this process does, however that ends."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, port: int) -> None:
        self.process, self._log, self.port = process, log, port

    @property
    def log(self) -> list[dict[str, Any]]:
        """What it logged."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    async def ready(self, deadline: float = 60.0) -> None:
        """Until /readyz says so."""
        await until(
            lambda: is_ready(self.port), deadline, f"readiness on port {self.port}; log: {self._log.read_text()[-3000:]}"
        )

    async def ended(self, deadline: float = 60.0) -> int:
        return await asyncio.wait_for(self.process.wait(), deadline)

    async def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def metric(self, name: str, **labels: str) -> float:
        """A value of its metrics page; 0 when absent."""
        return await metric(self.port, name, **labels)


async def is_ready(port: int) -> bool:
    """Whether the process behind this health port is ready."""
    return await _says_yes(port, "readyz")


async def is_alive(port: int) -> bool:
    """Whether the process behind this health port is alive."""
    return await _says_yes(port, "livez")


async def _says_yes(port: int, page: str) -> bool:
    async with httpx.AsyncClient() as client:
        with contextlib.suppress(httpx.HTTPError):
            return (await client.get(f"http://127.0.0.1:{port}/{page}", timeout=3)).status_code == 200
    return False


async def metric(port: int, name: str, **labels: str) -> float:
    """A value of the metrics page behind this port; 0 when absent."""
    async with httpx.AsyncClient() as client:
        page = (await client.get(f"http://127.0.0.1:{port}/metrics", timeout=3)).text
    for line in page.splitlines():
        if line.startswith((f"{name}{{", f"{name} ")) and all(f'{key}="{value}"' in line for key, value in labels.items()):
            return float(line.rpartition(" ")[2])
    return 0.0


@asynccontextmanager
async def running(environ: dict[str, str], *arguments: str) -> AsyncIterator[Running]:
    """`casestream run ...` for the body; killed at the end if it still runs."""
    (port,) = free_ports(1)
    with tempfile.NamedTemporaryFile(prefix="casestream-run-", suffix=".log") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "runtime.cli", "run", *arguments, "--tied",
            env=_environment({"CASESTREAM_HEALTH__PORT": str(port), **environ}), cwd=ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield Running(process, Path(log.name), port)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
