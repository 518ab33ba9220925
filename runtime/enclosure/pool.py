"""The outside of an enclosure: a few child processes that each answer one question at a time, and are killed when late.

Children are started when first needed (a fresh interpreter, never a fork of this process with its threads), with an empty
environment: no address and no password of ours is in there. A child that was late, ran out of memory, died or was left by
its caller is replaced by the next question. Nothing here blocks the event loop.
"""

import asyncio
import contextlib
import sys
from dataclasses import dataclass
from typing import Literal

from runtime.enclosure.inside import ANSWERED, HEAD_BYTES, OUT_OF_MEMORY, frame, length_of
from runtime.logging import get_logger
from schemas.errors import TransientError

log = get_logger(__name__)

_START_SECONDS = 15.0
_WAIT_SECONDS = 3.0
_LONGEST_REPLY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stopped:
    """There is no answer: the question took too long or too much memory, or the child failed at it."""

    reason: Literal["time", "memory", "failure"]


class Enclosure:
    """Children that run `python -m module`, whose main calls `runtime.enclosure.inside.serve`."""

    def __init__(self, module: str, *, size: int = 2, seconds: float = 0.3, memory_bytes: int = 256 * 1024 * 1024) -> None:
        self._module, self.seconds, self._memory_bytes = module, seconds, memory_bytes
        self._places = asyncio.Semaphore(size)
        self._idle: list[asyncio.subprocess.Process] = []

    async def ask(self, question: bytes) -> bytes | Stopped:
        """The child's answer within `seconds` of its being ready. Raises TransientError: all are busy, or none starts."""
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            raise TransientError("checking in a child process: all of them are busy; repeat the request") from None
        try:
            return await self._ask_one(question)
        finally:
            self._places.release()

    async def close(self) -> None:
        """End the idle children; one that is answering ends with its question."""
        for child in self._idle:
            await _kill(child)
        self._idle.clear()

    async def _ask_one(self, question: bytes) -> bytes | Stopped:
        child = self._ready_child() or await self._start()
        kept = False
        try:
            reply = await _exchange(child, question, self.seconds)
            kept = isinstance(reply, bytes)
            return reply
        finally:
            # Also when the caller has gone away: what the child is doing now belongs to nobody.
            if kept:
                self._idle.append(child)
            else:
                await _kill(child)

    def _ready_child(self) -> asyncio.subprocess.Process | None:
        while self._idle:
            child = self._idle.pop()
            if child.returncode is None:
                return child
        return None

    async def _start(self) -> asyncio.subprocess.Process:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-m", self._module, str(self.seconds), str(self._memory_bytes),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={}, start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_START_SECONDS):
                await _receive(child)
        except BaseException as error:
            await _kill(child)
            if isinstance(error, TimeoutError | asyncio.IncompleteReadError):
                raise TransientError(
                    "starting a child process for the check: it did not get ready; repeat the request"
                ) from error
            raise
        return child


async def _exchange(child: asyncio.subprocess.Process, question: bytes, seconds: float) -> bytes | Stopped:
    try:
        async with asyncio.timeout(seconds):
            await _send(child, question)
            reply = await _receive(child)
    except TimeoutError:
        return Stopped("time")
    except (asyncio.IncompleteReadError, ConnectionError):
        log.warning("child process died at a question", pid=child.pid)
        return Stopped("failure")
    status, content = reply[:1], reply[1:]
    if status == ANSWERED:
        return content
    if status == OUT_OF_MEMORY:
        return Stopped("memory")
    log.warning("child process failed at a question", pid=child.pid, code=content.decode("ascii", "replace")[:100])
    return Stopped("failure")


async def _send(child: asyncio.subprocess.Process, content: bytes) -> None:
    assert child.stdin is not None
    child.stdin.write(frame(content))
    await child.stdin.drain()


async def _receive(child: asyncio.subprocess.Process) -> bytes:
    assert child.stdout is not None
    length = length_of(await child.stdout.readexactly(HEAD_BYTES))
    if length > _LONGEST_REPLY:
        raise ConnectionError("a reply longer than any that is meant")
    return await child.stdout.readexactly(length)


async def _kill(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.kill()
    if child.stdin is not None:
        child.stdin.close()
    if child.stdout is not None:
        # A reader that holds too much has stopped reading and sees no end: the child would be waited for for ever.
        with contextlib.suppress(ConnectionError):
            while await child.stdout.read(_LONGEST_REPLY):
                pass
    await child.wait()
