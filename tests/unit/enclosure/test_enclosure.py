"""An enclosure answers, or says in time why not; whatever its child does, the parent's loop goes on."""

import asyncio
import os
import time
from collections.abc import AsyncIterator

import pytest

from runtime.enclosure import Enclosure, Stopped
from runtime.enclosure.pool import _kill, _send
from schemas.errors import TransientError
from tests.waiting import until

CHILD = "tests.unit.enclosure.hostile_child"


@pytest.fixture
async def enclosure() -> AsyncIterator[Enclosure]:
    # Only what has to be too late is hurried.
    made = Enclosure(CHILD, size=2, seconds=30.0, memory_bytes=64 * 1024 * 1024)
    yield made
    await made.close()


async def longest_pause(stop: asyncio.Event) -> float:
    """The heartbeat: the longest time between two turns of the loop that were asked for 5 ms apart."""
    worst, last = 0.0, time.monotonic()
    while not stop.is_set():
        await asyncio.sleep(0.005)
        now = time.monotonic()
        worst, last = max(worst, now - last), now
    return worst


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_question_is_answered_by_a_child_that_stays(enclosure: Enclosure) -> None:
    first = await enclosure.ask(b"pid")
    assert isinstance(first, bytes)
    assert int(first) != os.getpid()
    assert await enclosure.ask(b"pid") == first
    assert await enclosure.ask(b"x" * 1_000_000) == b"x" * 1_000_000


@pytest.mark.parametrize(
    ("misdeed", "reason"),
    [
        (b"spin", "time"),
        (b"backtrack", "time"),
        (b"hoard", "memory"),
        (b"recurse", "failure"),
        (b"die", "failure"),
        (b"write", "failure"),
        (b"flood", "failure"),
    ],
)
async def test_a_misdeed_ends_in_time_and_the_next_question_is_answered(
    enclosure: Enclosure, misdeed: bytes, reason: str
) -> None:
    before = await enclosure.ask(b"pid")
    stop = asyncio.Event()
    heartbeat = asyncio.create_task(longest_pause(stop))
    if reason == "time":
        enclosure.seconds = 0.1
    # By the parent, and long before the child's own timer would make a failure of it.
    assert await enclosure.ask(misdeed) == Stopped(reason)  # type: ignore[arg-type]
    enclosure.seconds = 30.0
    stop.set()
    assert await heartbeat < 5.0
    after = await enclosure.ask(b"pid")
    assert isinstance(before, bytes)
    assert isinstance(after, bytes)
    assert after != before
    await until(lambda: not alive(int(before)), what="the end of the child that misbehaved")


async def test_what_a_library_prints_stands_in_no_answer(enclosure: Enclosure) -> None:
    assert await enclosure.ask(b"shout") == b"said"
    assert await enclosure.ask(b"again") == b"again"


async def test_a_child_knows_nothing_of_our_environment_and_dumps_nothing(
    enclosure: Enclosure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:canary-7731@h/d")
    said = await enclosure.ask(b"environment")
    assert isinstance(said, bytes)
    assert b"canary" not in said
    assert await enclosure.ask(b"core") == b"(0, 0)"


async def test_a_caller_who_leaves_takes_his_child_with_him(enclosure: Enclosure) -> None:
    pid = await enclosure.ask(b"pid")
    asking = asyncio.create_task(enclosure.ask(b"spin"))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert isinstance(pid, bytes)
    await until(lambda: not alive(int(pid)), what="the end of the child whose caller left")
    assert await enclosure.ask(b"still here") == b"still here"


async def test_more_questions_than_children_wait_for_their_turn(enclosure: Enclosure) -> None:
    questions = [str(number).encode() for number in range(40)]
    assert await asyncio.gather(*(enclosure.ask(question) for question in questions)) == questions


async def test_a_module_that_is_no_child_is_a_transient_fault() -> None:
    with pytest.raises(TransientError, match="did not get ready"):
        await Enclosure("tests.unit.enclosure.absent").ask(b"x")


async def test_children_end_with_their_parent(enclosure: Enclosure) -> None:
    pid = await enclosure.ask(b"pid")
    assert isinstance(pid, bytes)
    await enclosure.close()
    assert not alive(int(pid))


async def test_a_child_that_said_more_than_is_read_is_ended_all_the_same(enclosure: Enclosure) -> None:
    """A reader with a full buffer stops reading and sees no end of the pipe; whoever waits for it waits for ever."""
    child = await enclosure._start()
    await _send(child, b"flood")
    await until(lambda: child.stdout._paused, what="a reader that stops reading")  # type: ignore[union-attr]
    async with asyncio.timeout(30):
        await _kill(child)
    assert child.returncode is not None
