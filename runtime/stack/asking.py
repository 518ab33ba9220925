"""Asking servers from synchronous code, also from inside a running event loop."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Answer = TypeVar("Answer")


def ask(question: Coroutine[Any, Any, Answer]) -> Answer:
    """Runs a coroutine to its end in a loop and a thread of its own and returns its answer."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="stack-question") as thread:
        return thread.submit(asyncio.run, question).result()
