"""A failpoint ends the process at the ordered passage and is nothing at all when none is ordered."""

import os
import signal
import subprocess
import sys

import pytest

from runtime.failpoints import VARIABLE, Failpoint

_PROGRAM = """
import asyncio
from runtime.failpoints import reach
async def main():
    for _ in range(3):
        await reach("here")
        print("passed", flush=True)
asyncio.run(main())
"""


def run(order: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, VARIABLE: order}
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_the_process_is_killed_at_the_ordered_passage() -> None:
    done = run("here:2")

    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["passed"]


@pytest.mark.parametrize("order", ["", "elsewhere:1"])
def test_without_an_order_for_it_a_passage_does_nothing(order: str) -> None:
    assert run(order).stdout.split() == ["passed"] * 3


@pytest.mark.parametrize("order", [":1", "here:soon", "here:1:explode"])
def test_a_malformed_order_is_refused(order: str) -> None:
    with pytest.raises(ValueError, match=VARIABLE):
        Failpoint(order)
