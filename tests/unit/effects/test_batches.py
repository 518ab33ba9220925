"""Batches per key: what comes while one is on its way is the next, and a key that rests makes fewer of them."""

import asyncio

import pytest

from runtime.pauses import pause
from workers.effects.batches import Batches

WORK_SECONDS = 0.2


async def _batches_of_three(*, rests: bool, size: int = 10) -> list[list[str]]:
    """One item; two more, one after the other, when its batch has ended."""
    done: list[list[str]] = []
    first = asyncio.Event()

    async def work(_key: str, items: list[str]) -> None:
        await pause(asyncio.Event(), 0.0 if done else WORK_SECONDS)
        done.append(items)
        first.set()

    batches: Batches[str, str] = Batches(work, size=size, abreast=1, rests=lambda _key: rests)
    batches.put("k", "a")
    await first.wait()
    batches.put("k", "b")
    if not rests or size == 1:
        # Its batch begins at once.
        while len(done) < 2:
            await asyncio.sleep(0)
    batches.put("k", "c")
    await batches.join()
    return done


@pytest.mark.parametrize(
    ("rests", "size", "expected"),
    [(False, 10, [["a"], ["b"], ["c"]]), (True, 10, [["a"], ["b", "c"]]), (True, 1, [["a"], ["b"], ["c"]])],
)
async def test_what_comes_during_a_rest_shares_a_batch(rests: bool, size: int, expected: list[list[str]]) -> None:
    assert await _batches_of_three(rests=rests, size=size) == expected
