"""What a member makes of a large poll: batches in order, and turns for the one that commits meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord

from processors.shell import fetching
from processors.shell.fetching import Fetched, in_turns, portions


def record(offset: int) -> ConsumerRecord[bytes, bytes]:
    return ConsumerRecord("t", 0, offset, 0, 0, None, None, None, 0, 0, ())


def fetched(**counts: int) -> Fetched[str]:
    return {place: [record(offset) for offset in range(count)] for place, count in counts.items()}


def offsets(portion: Fetched[str]) -> dict[str, list[int]]:
    return {place: [one.offset for one in records] for place, records in portion.items()}


@pytest.mark.parametrize(
    ("counts", "cut"),
    [
        ({}, []),
        ({"a": 0}, []),
        ({"a": 3}, [{"a": [0, 1, 2]}]),
        ({"a": 4}, [{"a": [0, 1, 2]}, {"a": [3]}]),
        ({"a": 2, "b": 5}, [{"a": [0, 1], "b": [0]}, {"b": [1, 2, 3]}, {"b": [4]}]),
    ],
    ids=["nothing", "an empty partition", "one batch", "a rest", "two partitions"],
)
def test_a_poll_is_cut_into_batches_in_the_order_of_each_partition(counts: dict[str, int], cut: list[Any]) -> None:
    assert [offsets(portion) for portion in portions(fetched(**counts), 3)] == cut


async def test_whoever_waits_has_a_turn_after_every_few_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "AT_A_TIME", 2)
    seen: list[str] = []

    def read(place: str, records: Sequence[ConsumerRecord[bytes, bytes]]) -> list[int]:
        seen.append("read")
        return [one.offset for one in records]

    async def answer() -> None:
        for _ in range(3):
            seen.append("answer")
            await asyncio.sleep(0)

    found, _ = await asyncio.gather(in_turns(fetched(a=3, b=1), read), answer())
    assert found == [0, 1, 2, 0]
    assert seen == ["read", "answer"] * 3
