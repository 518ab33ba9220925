"""One run of each side: a process of its own, and what it says at its end."""

import json
import os
import re
import secrets
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rules.stream.ground import TOPIC
from runtime.stack.postgres_programs import find_postgres
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka

ROOT = Path(__file__).parents[3]
LOCK = Path(__file__).parent / "peers" / "requirements.lock"
# Beside the project's own environment and never in it.
ENVIRONMENT = ROOT / ".cache" / "rules-peers"
CONNECTIONS = 16
_LONGEST_SECONDS = 900

Figures = dict[str, float]


@dataclass(frozen=True)
class Course:
    """Where a run takes place. `least`: the score from which the one rule matches."""

    database: ClonedDatabase
    kafka: FreshKafka
    bootstrap: str
    least: int

    def ours(self, events: int) -> Figures:
        """A member of the rules group."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("CASESTREAM_")} | {
            "DATABASE_URL": self.database.url("migrate"),
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "CASESTREAM_TOPIC_PREFIX": self.kafka.prefix,
        }
        return _run([sys.executable, "-m", "benchmarks.rules.stream.ours", str(events)], environ)

    def peer(self, program: str, events: int, *, remember: bool) -> Figures:
        """`faust_agent` or `quix_app`."""
        environ = os.environ | {
            "PEER_EVENTS": str(events),
            "PEER_LEAST": str(self.least),
            "PEER_REMEMBER": "1" if remember else "0",
            "PEER_TOPIC": self.kafka.topic(TOPIC),
            "PEER_BOOTSTRAP": self.bootstrap,
            "PEER_DATABASE_URL": self.database.url("superuser"),
            "PEER_RUN": secrets.token_hex(4),
            "PYTHONPATH": str(ROOT),
        }
        words = [str(ENVIRONMENT / "bin" / "python"), "-m", f"benchmarks.rules.stream.peers.{program}"]
        return _run([*words, "worker", "--loglevel=error"] if program == "faust_agent" else words, environ)

    def pgbench(self, script: str, seconds: int, sizes: dict[str, int]) -> Figures:
        """Events a second whose rows the server writes."""
        connections, rows = (CONNECTIONS, 1) if script == "one_event" else (1, 1_000)
        given = [word for name, size in sizes.items() for word in ("-D", f"{name}={size}")]
        answer = subprocess.run(
            [
                str(find_postgres().folder / "pgbench"),
                *(
                    "-n",
                    "-M",
                    "prepared",
                    "-f",
                    str(Path(__file__).with_name(f"{script}.pgbench.sql")),
                    "-T",
                    str(seconds),
                    "--max-tries",
                    "1",
                ),
                *("-c", str(connections), "-j", "1", *given, self.database.url("superuser")),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found = re.search(r"tps = ([\d.]+)", answer)
        assert found, answer
        return {"events_per_second": float(found[1]) * rows}


def install_peers() -> None:
    """The peers' environment from its lock file, once for each lock."""
    mark = ENVIRONMENT / "installed.lock"
    if mark.exists() and mark.read_bytes() == LOCK.read_bytes():
        return
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(LOCK)]
    subprocess.run([str(ENVIRONMENT / "bin" / "python"), *words], check=True)
    mark.write_bytes(LOCK.read_bytes())


def _run(words: list[str], environ: dict[str, str]) -> Figures:
    done = subprocess.run(words, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise SystemExit(f"{words[-1]} ended with {done.returncode} and said nothing: {done.stderr[-2000:]}")
    told = json.loads(lines[-1])
    return {
        "events_per_second": told["read"] / (told["last"] - told["first"]),
        "events_per_cpu_second": told["read"] / told["cpu"],
    }
