"""The inside of an enclosure: a process that puts limits on itself, then answers frames from stdin on stdout.

It ends when its parent is gone (stdin ends), when a question takes too long (the kernel's timer, which also ends code that
never comes back to Python), and it never writes a file or a core dump: what it reads is decrypted data.
"""

import io
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

ANSWERED, OUT_OF_MEMORY, FAILED = b"a", b"m", b"f"
_LENGTH = struct.Struct(">I")
# The parent kills a late child; this ends one whose parent was killed in the middle of a question.
_PATIENCE_SECONDS = 2.0


def serve(answer: Callable[[bytes], bytes]) -> None:
    """Answer until stdin ends. The arguments are the limits: seconds for a question, bytes on top of what is loaded."""
    seconds, memory_bytes = float(sys.argv[1]), int(sys.argv[2])
    replies = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints must not stand between two frames.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    limit(memory_bytes)
    _write(replies, ANSWERED)
    while (question := _read(sys.stdin.buffer)) is not None:
        signal.setitimer(signal.ITIMER_REAL, seconds + _PATIENCE_SECONDS)
        reply = _reply(answer, question)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _write(replies, reply)


def limit(memory_bytes: int) -> None:
    """No more address space than now plus `memory_bytes`, no core dump, no file, no other process's time."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    loaded = Path("/proc/self/statm")
    if loaded.exists():
        pages = int(loaded.read_text().split()[0])
        _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + memory_bytes)


def _lower(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (wanted, wanted))


def _reply(answer: Callable[[bytes], bytes], question: bytes) -> bytes:
    try:
        return ANSWERED + answer(question)
    except MemoryError:
        return OUT_OF_MEMORY
    except Exception as error:  # noqa: BLE001 - the class goes to the parent's log; a message could quote the document
        return FAILED + type(error).__name__.encode()


def frame(content: bytes) -> bytes:
    return _LENGTH.pack(len(content)) + content


def length_of(head: bytes) -> int:
    length: int = _LENGTH.unpack(head)[0]
    return length


HEAD_BYTES = _LENGTH.size


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        return None
    content = stream.read(length_of(head))
    return content if len(content) == length_of(head) else None


def _write(stream: io.BufferedWriter, content: bytes) -> None:
    stream.write(frame(content))
    stream.flush()
