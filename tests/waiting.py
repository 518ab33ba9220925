"""Waiting on a condition with a deadline: what tests do instead of sleeping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

Result = TypeVar("Result")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.1


@overload
async def until(condition: Callable[[], Awaitable[Result]], deadline: float = ..., what: str = ...) -> Result: ...


@overload
async def until(condition: Callable[[], Result], deadline: float = ..., what: str = ...) -> Result: ...


async def until(condition: Callable[[], object], deadline: float = 60.0, what: str = "the condition") -> object:
    """Asks again and again until the answer is true and returns it; AssertionError names `what` and the last answer.

    An exception of the condition is no answer: it ends the wait.
    """
    started, pause = time.monotonic(), _FIRST_PAUSE
    while True:
        answer = condition()
        result: object = await answer if inspect.isawaitable(answer) else answer
        if result:
            return result
        if time.monotonic() - started > deadline:
            raise AssertionError(f"waited {deadline:g} s for {what}; the last answer was {result!r}")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
