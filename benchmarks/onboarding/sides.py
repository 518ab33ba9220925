"""How each side is run: the same measuring for ours and for peers, which run in processes and an environment of their own.

Peers import this module without the project's dependencies: the standard library only.
"""

import asyncio
import json
import os
import statistics
import subprocess
import time
import venv
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = Path(__file__).parent / "peers" / "requirements.lock"
# Beside the project's own environment and never in it.
ENVIRONMENT = ROOT / ".cache" / "onboarding-peers"
STEPS = 10
_LONGEST_SECONDS = 300

Run = dict[str, float]


async def measured(journey: Callable[[], Awaitable[object]], concurrency: int, seconds: float) -> Run:
    """One journey after the other, so many at a time."""
    ended, until = list[float](), time.perf_counter() + seconds

    async def one_after_the_other() -> None:
        while time.perf_counter() < until:
            began = time.perf_counter()
            await journey()
            ended.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(concurrency)))
    took = time.perf_counter() - began
    return {
        "instances": len(ended),
        "steps_per_second": round(len(ended) * STEPS / took, 1),
        "p50_ms": round(statistics.median(ended) * 1000, 2),
        "p99_ms": round(statistics.quantiles(ended, n=100)[98] * 1000, 2) if len(ended) > 1 else ended[0] * 1000,
    }


@dataclass(frozen=True)
class Peers:
    """Those that can be run, and those that cannot."""

    database_url: str
    there: Sequence[str]
    lacking: Sequence[str]

    @classmethod
    def installed(cls, database_url: str) -> "Peers":
        """From their lock file; the servers of two of them are looked for where the environment says."""
        try:
            _install()
        except (OSError, subprocess.CalledProcessError):
            return cls(database_url, (), tuple(_NEEDS))
        there = [name for name, variable in _NEEDS.items() if variable is None or Path(os.environ.get(variable, "-")).is_file()]
        return cls(database_url, there, [name for name in _NEEDS if name not in there])

    def run(self, name: str, concurrency: int, seconds: float) -> Run:
        """One run in a process of its own."""
        words = [str(ENVIRONMENT / "bin" / "python"), "-m", f"benchmarks.onboarding.peers.{name}_steps"]
        environ = os.environ | {"PEER_DATABASE_URL": self.database_url, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [*words, str(concurrency), str(seconds)],
            env=environ,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if not lines:
            raise SystemExit(f"{name} ended with {done.returncode} and said nothing: {done.stderr[-2000:]}")
        run: Run = json.loads(lines[-1])
        return run


def _install() -> None:
    """The peers' environment, once for each lock."""
    mark = ENVIRONMENT / "installed.lock"
    if mark.exists() and mark.read_bytes() == LOCK.read_bytes():
        return
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(LOCK)]
    subprocess.run([str(ENVIRONMENT / "bin" / "python"), *words], check=True)
    mark.write_bytes(LOCK.read_bytes())


# Where the server of a peer is, if it needs one besides PostgreSQL.
_NEEDS: dict[str, str | None] = {"dbos": None, "restate": "RESTATE_SERVER", "temporal": "TEMPORAL_CLI"}
