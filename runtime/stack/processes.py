"""Starting, recognising and ending server processes.

Owns the pid files. A pid alone proves nothing (it is reused, after a reboot almost surely), so a pid file also holds
when the process started; both together name one process for ever. Never signals a process it cannot recognise.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

_PROC = Path("/proc")
_POLL_SECONDS = 0.02
# PR_SET_PDEATHSIG fires when the *thread* that forked ends, not the process. Servers of a test run are therefore
# started from one thread that lives as long as the interpreter, whatever thread asked for them.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="server-spawner")
# Our own children must be reaped, or they stay zombies that look alive.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, slots=True)
class Process:
    """One process, recognisable after pid reuse: `started` is the kernel's start time of that pid."""

    pid: int
    started: str


def identify(pid: int) -> Process | None:
    """The process that has this pid now, or None when it has ended (a zombie has ended)."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        _children.pop(pid, None)
    started = _start_time_from_proc(pid) if _PROC.is_dir() else _start_time_from_ps(pid)
    return Process(pid, started) if started else None


def is_alive(process: Process) -> bool:
    return identify(process.pid) == process


def uptime_seconds(process: Process) -> float | None:
    """Seconds since the process started, or None where the kernel does not tell."""
    if not _PROC.is_dir():
        return None
    booted = float((_PROC / "uptime").read_text().split()[0])
    return booted - int(process.started.split("@")[0]) / os.sysconf("SC_CLK_TCK")


def processes_working_in(directory: Path) -> list[Process]:
    """Every process whose working directory is `directory`: how a database's orphans are found."""
    found = []
    for entry in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink() == directory.resolve() and (known := identify(int(entry.name))):
                found.append(known)
    return found


@dataclass(frozen=True, slots=True)
class Launch:
    """How a server is started. `become` is a command in front of it that changes the user.

    `tie` is the signal that the kernel sends it when this interpreter ends, however it ends: for servers of a test
    run. Without it the server outlives us.
    """

    command: tuple[str, ...]
    log: Path
    cwd: Path
    environment: dict[str, str]
    become: tuple[str, ...] = ()
    tie: signal.Signals | None = None


def spawn(launch: Launch) -> Process:
    """Starts a server in a session of its own, its output appended to its log."""
    return _spawner.submit(_spawn, launch).result()


def end(processes: Iterable[Process], steps: Sequence[tuple[signal.Signals, float]]) -> bool:
    """Asks processes to end, step by step (signal, seconds to wait), then kills; True when nobody needed the kill."""
    remaining = [process for process in processes if is_alive(process)]
    for step, patience in steps:
        remaining = _signal_and_wait(remaining, step, patience)
    gracefully = not remaining
    if not all_gone(_signal_and_wait(remaining, signal.SIGKILL, 10.0)):
        raise TimeoutError(f"processes {[process.pid for process in remaining]} survived SIGKILL for 10 s")
    return gracefully


def all_gone(processes: Iterable[Process]) -> bool:
    return not any(is_alive(process) for process in processes)


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Polls `condition` until it holds or the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def write_pid_file(path: Path, process: Process) -> None:
    path.write_text(json.dumps(asdict(process)))


def read_pid_file(path: Path) -> Process | None:
    """The process a pid file names, alive or not; None when there is no readable pid file."""
    try:
        content = json.loads(path.read_text())
        return Process(int(content["pid"]), str(content["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def running(path: Path) -> Process | None:
    """The live process that a pid file names; None when the file is missing or stale."""
    process = read_pid_file(path)
    return process if process and is_alive(process) else None


def _spawn(launch: Launch) -> Process:
    with launch.log.open("ab") as output:
        child = subprocess.Popen(
            # The tie comes after the change of user, because that change would cut it.
            [*launch.become, *_tie(launch.tie), *launch.command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=launch.cwd,
            env=launch.environment,
            start_new_session=True,
        )
    return adopt(child)


def adopt(child: subprocess.Popen[bytes]) -> Process:
    """A child of ours as a process. One that has ended already has no start time and is never alive: its log says why."""
    _children[child.pid] = child
    return identify(child.pid) or Process(child.pid, "")


def _tie(tie: signal.Signals | None) -> tuple[str, ...]:
    setpriv = shutil.which("setpriv") if tie and sys.platform == "linux" else None
    return (setpriv, "--pdeathsig", tie.name.removeprefix("SIG")) if setpriv and tie else ()


def _signal_and_wait(processes: list[Process], step: signal.Signals, patience: float) -> list[Process]:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            if is_alive(process):
                os.kill(process.pid, step)
    wait_for(lambda: all_gone(processes), patience if processes else 0)
    return [process for process in processes if is_alive(process)]


def _start_time_from_proc(pid: int) -> str | None:
    try:
        # The command name (field 2) may hold spaces and brackets; what follows the last ')' is well formed.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else f"{fields[19]}@{_boot()}"


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _start_time_from_ps(pid: int) -> str | None:
    answer = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = answer.stdout.strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None
