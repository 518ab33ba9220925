"""A child that does whatever the test asks: the questions are names of misdeeds."""

import os
import re
import resource
import signal
from collections.abc import Callable
from pathlib import Path

from runtime.enclosure.inside import serve


def _spin() -> bytes:
    while True:
        pass


def _backtrack() -> bytes:
    # One call that never comes back to Python: no exception could be raised into it.
    return str(re.match(r"(a+)+$", "a" * 64 + "b")).encode()


def _hoard() -> bytes:
    hoard = []
    while True:
        hoard.append(bytearray(16 * 1024 * 1024))


def _recurse() -> bytes:
    return _recurse()


def _die() -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def _write() -> bytes:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    Path("/tmp/enclosure-wrote").write_bytes(b"x")
    return b"written"


def _shout() -> bytes:
    print("something between two frames", flush=True)
    os.write(1, b"and more")
    return b"said"


MISDEEDS: dict[bytes, Callable[[], bytes]] = {
    b"spin": _spin,
    b"backtrack": _backtrack,
    b"hoard": _hoard,
    b"recurse": _recurse,
    b"die": _die,
    b"write": _write,
    b"shout": _shout,
    b"environment": lambda: repr(dict(os.environ)).encode(),
    b"pid": lambda: str(os.getpid()).encode(),
    b"core": lambda: str(resource.getrlimit(resource.RLIMIT_CORE)).encode(),
    b"flood": lambda: b"x" * 2_000_000,
}


def answer(question: bytes) -> bytes:
    return MISDEEDS[question]() if question in MISDEEDS else question


if __name__ == "__main__":
    serve(answer)
