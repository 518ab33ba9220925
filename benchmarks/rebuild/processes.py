"""Processes of a run: started with its environment, watched for memory, asked for their one line, and ended by their id."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class Process:
    """One child. Leaving its `with` ends it: SIGTERM, and after 20 s SIGKILL."""

    def __init__(self, environ: Mapping[str, str], module: str, words: tuple[str, ...], *, stdin: bool) -> None:
        # A file and no pipe: nobody reads while it runs.
        self._out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._err: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._seen: dict[int, tuple[float, float]] = {}
        self._child = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            env=dict(environ),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        if self.is_running():
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(20)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        if kind is not None:
            print(f"-- {' '.join(map(str, self._child.args))}\n{self.said()}", file=sys.stderr)  # type: ignore[arg-type]

    def is_running(self) -> bool:
        return self._child.poll() is None

    def code(self) -> int | None:
        return self._child.poll()

    def finish(self) -> bytes:
        """Close its stdin, wait for its end, and what it printed. Raises SystemExit if it failed."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        if self._child.wait() != 0:
            raise SystemExit(self.said())
        self._out.seek(0)
        return self._out.read()

    def said(self) -> str:
        """The end of what it wrote, for whoever looks for the reason."""
        texts = []
        for stream in (self._out, self._err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace")[-4_000:])
        return "\n".join(texts)

    def peak_mb(self) -> float:
        return _peak_mb(self._child.pid)

    def look_at_children(self) -> None:
        """Note memory and CPU time of the processes that it started: they are gone when it has ended."""
        for pid in _children(self._child.pid):
            if (peak := _peak_mb(pid)) > 0:
                self._seen[pid] = peak, _cpu_seconds(pid)

    def children_peak_mb(self) -> float:
        return max((peak for peak, _ in self._seen.values()), default=0.0)

    def children_cpu_seconds(self) -> float:
        return sum(cpu for _, cpu in self._seen.values())


def casestream(environ: Mapping[str, str], *words: str) -> Process:
    """`casestream` with these words."""
    return Process(environ, "runtime.cli", words, stdin=False)


def program(environ: Mapping[str, str], module: str, *words: str, stdin: bool = False) -> Process:
    return Process(environ, module, words, stdin=stdin)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmHWM")), 0.0)
