"""`casestream up | status | doctor | down` as a person types them, in a home of their own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.stack import processes
from tests.infrastructure.scratch import new_scratch

CASESTREAM = (sys.executable, "-c", "from runtime.cli import main; main()")


class Terminal:
    """Runs commands on one home and keeps what they said."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.said = ""

    def run(self, *words: str, expect: int = 0) -> Any:
        """The command's answer, read from JSON; its remarks are in `said`."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CASESTREAM_")}
        done = subprocess.run(
            [*CASESTREAM, *words, "--output", "json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**environment, "CASESTREAM_HOME": str(self.home)},
        )
        self.said = done.stderr
        assert done.returncode == expect, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def broken(self) -> dict[str, dict[str, Any]]:
        """What doctor finds broken, by part; its exit code must agree."""
        findings = self.run("doctor", expect=3)
        return {finding["part"]: finding for finding in findings if not finding["sound"]}

    def pids(self) -> dict[str, int]:
        return {server["server"]: server["pid"] for server in self.run("status")}


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A home in a scratch folder: if this run is killed, the next one ends its servers."""
    home = new_scratch() / "home"
    made = Terminal(home)
    yield made
    made.run("down")
    assert processes_of(home) == []
    shutil.rmtree(home.parent)


def processes_of(home: Path) -> list[str]:
    """Command lines of every process that mentions the home."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(home) in command:
            found.append(command)
    return found


def test_a_day_of_a_stack(terminal: Terminal) -> None:
    assert set(terminal.broken()) == {"stack"}
    terminal.run("down")
    assert "nothing was running" in terminal.said

    address = terminal.run("up")
    first = terminal.pids()
    assert terminal.run("up") == address
    assert terminal.pids() == first
    for server in terminal.run("status"):
        assert server["running"]
        assert server["uptime_seconds"] > 0
        assert server["data_bytes"] > 0
    # Whoever reads the state file or a private key is the owner.
    assert {name: (terminal.home / name).stat().st_mode & 0o777 for name in ("state.json", "secrets.json")} == {
        "state.json": 0o600,
        "secrets.json": 0o600,
    }

    # Both die. Their pid files stay and name nobody.
    for pid in first.values():
        os.kill(pid, signal.SIGKILL)
    assert processes.wait_for(lambda: not processes_of(terminal.home), 60)
    broken = terminal.broken()
    assert broken["postgresql"]["remedy"] == broken["kafka"]["remedy"] == "casestream up"
    assert "died" in broken["kafka"]["found"]
    terminal.run("status", expect=3)
    terminal.run("up")
    assert not set(terminal.pids().values()) & set(first.values())

    # Half of it goes down; the rest is still stopped, also without the state file.
    os.kill(terminal.pids()["postgresql"], signal.SIGKILL)
    (terminal.home / "state.json").unlink()
    terminal.run("down")
    assert processes_of(terminal.home) == []


def test_a_port_that_another_program_took_is_named_and_replaced(terminal: Terminal) -> None:
    address = terminal.run("up")
    terminal.run("down")
    host, port = address["postgresql"].split(":")
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind((host, int(port)))
        squatter.listen()
        assert port in terminal.broken()["postgresql"]["found"]
        again = terminal.run("up")
        assert "is taken by another program" in terminal.said
    assert again["postgresql"] != address["postgresql"]
    assert again["kafka"] == address["kafka"]


def test_a_server_that_cannot_start_is_told_with_the_end_of_its_log(terminal: Terminal) -> None:
    terminal.run("up")
    terminal.run("down")
    (terminal.home / "postgres" / "data" / "global" / "pg_control").write_bytes(b"")
    terminal.run("up", expect=3)
    assert "pg_control" in terminal.said
    assert "pg_control" in terminal.broken()["postgresql"]["found"]


def test_secrets_that_others_may_read_or_that_are_gone_are_named(terminal: Terminal) -> None:
    terminal.run("up")
    secrets = terminal.home / "secrets.json"
    secrets.chmod(0o644)
    assert terminal.broken()["secrets"]["remedy"].startswith("chmod 600")
    secrets.unlink()
    assert "cannot be opened" in terminal.broken()["secrets"]["found"]
    terminal.run("up", expect=3)
    assert "cannot be opened" in terminal.said
    assert not secrets.exists()
