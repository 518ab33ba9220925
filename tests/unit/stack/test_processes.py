"""A process is recognised by pid and start time together."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.stack import processes
from runtime.stack.processes import Launch, Process

SLEEPER = (sys.executable, "-c", "import signal; signal.pause()")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('deaf', 'w').close(); signal.pause()",
)


def launch(folder: Path, command: tuple[str, ...] = SLEEPER) -> Process:
    return processes.spawn(Launch(command, folder / "log", folder, dict(os.environ), tie=signal.SIGKILL))


def test_a_pid_that_another_program_got_is_not_ours(tmp_path: Path) -> None:
    own = processes.identify(os.getpid())
    assert own is not None
    processes.write_pid_file(tmp_path / "pid", own)
    assert processes.running(tmp_path / "pid") == own
    processes.write_pid_file(tmp_path / "pid", Process(own.pid, "1@another-boot"))
    assert processes.running(tmp_path / "pid") is None


@pytest.mark.parametrize("content", ["", "12", "{}", '{"pid": "x", "started": "y"}', "[1]"])
def test_a_broken_pid_file_names_nobody(tmp_path: Path, content: str) -> None:
    (tmp_path / "pid").write_text(content)
    assert processes.running(tmp_path / "pid") is None


def test_a_child_that_ended_before_it_was_looked_at_is_dead_and_no_error(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    process = processes.adopt(child)
    processes.write_pid_file(tmp_path / "pid", process)
    assert process.pid == child.pid
    assert processes.running(tmp_path / "pid") is None
    assert processes.end([process], ())


def test_a_process_ends_when_asked(tmp_path: Path) -> None:
    process = launch(tmp_path)
    assert processes.end([process], ((signal.SIGTERM, 60.0),))
    assert not processes.is_alive(process)


def test_one_that_ignores_the_request_is_killed_after_the_bound(tmp_path: Path) -> None:
    process = launch(tmp_path, STUBBORN)
    assert processes.wait_for((tmp_path / "deaf").exists, 60.0)
    assert not processes.end([process], ((signal.SIGTERM, 0.1),))
    assert not processes.is_alive(process)


def test_a_stranger_with_the_same_pid_is_never_signalled(tmp_path: Path) -> None:
    process = launch(tmp_path)
    processes.end([Process(process.pid, "1@another-boot")], ())
    assert processes.is_alive(process)
    processes.end([process], ())


def test_orphans_are_found_by_their_working_directory(tmp_path: Path) -> None:
    process = launch(tmp_path)
    assert processes.processes_working_in(tmp_path) == [process]
    processes.end([process], ())
    assert processes.processes_working_in(tmp_path) == []


def test_uptime_is_counted_from_the_start(tmp_path: Path) -> None:
    process = launch(tmp_path)
    uptime = processes.uptime_seconds(process)
    processes.end([process], ())
    assert uptime is not None
    assert -1 < uptime < 30
