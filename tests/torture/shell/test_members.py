"""Members killed, frozen and thawed again and again, and one that reads a million events: `make torture`.

The suite runs each once (tests/e2e/shell/test_ownership.py). A step that has run in full is skipped.
"""

import os
import signal
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from benchmarks.shell import ground
from tests.e2e.shell.conformance import SUBJECTS
from tests.e2e.shell.harness import create_group_topics, environ_for
from tests.e2e.shell.processes import processes
from tests.e2e.shell.test_ownership import SUBJECT, Group
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.torture.system.record import run_step
from tests.waiting import until

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200)]
BOARD = SUBJECTS["projections.work_item_board.v1"]
MIB = 2**20
# P5.
LIVE_AGAIN_SECONDS = 10.0


@pytest.fixture
async def group(database: ClonedDatabase, fresh_kafka: FreshKafka) -> AsyncIterator[Group]:
    await SUBJECT.prepare(database)
    await create_group_topics(fresh_kafka, SUBJECT.make(), 4)
    async with processes(environ_for(database, fresh_kafka), SUBJECT.group) as members:
        yield Group(database, fresh_kafka, members)


async def frozen_once(group: Group, number: int, failpoint: str) -> float:
    """Freeze a member at a step, let an heir do its work, thaw it, end both; the seconds until all was applied."""
    frozen = group.members.start(f"frozen{number}", f"{failpoint}:2:stop")
    await group.send([f"first{number}"])
    await group.settle(60)
    await group.send([f"k{number}-{key}" for key in range(20)])
    await frozen.stopped()
    heir = group.members.start(f"heir{number}")
    seconds = await group.settle(60)
    frozen.send(signal.SIGCONT)
    await group.send([f"late{number}-{key}" for key in range(20)])
    await group.settle(60)
    for one in (frozen, heir):
        one.end()
    return seconds


async def killed_once(group: Group, number: int) -> float:
    """SIGKILL of one of two members; the seconds until the other one has applied everything sent afterwards."""
    one, two = (group.members.start(f"{name}{number}") for name in ("one", "two"))
    await group.shared_by(f"one{number}", f"two{number}")
    one.send(signal.SIGKILL)
    await group.send([f"after{number}-{key}" for key in range(20)])
    seconds = await group.settle(60)
    two.end()
    return seconds


def many(once: Callable[[int], Awaitable[float]]) -> Callable[[int], Awaitable[dict[str, Any]]]:
    async def run(count: int) -> dict[str, Any]:
        seconds = [round(await once(number), 1) for number in range(count)]
        return {"rounds": count, "seconds": seconds, "median": statistics.median(seconds), "worst": max(seconds)}

    return run


@pytest.mark.requirement("SP-6")
@pytest.mark.parametrize("failpoint", ["shell.before-begin", "shell.before-commit"])
async def test_zombies(group: Group, failpoint: str) -> None:
    """A zombie with a batch in its hands wakes behind its heir: every message took effect exactly once."""
    await run_step(f"shell: zombie at {failpoint}", 50, many(lambda number: frozen_once(group, number, failpoint)), _nothing)


@pytest.mark.hole("takeover-timeouts")
async def test_takeovers_from_a_frozen_transaction(group: Group) -> None:
    once = many(lambda number: frozen_once(group, number, "shell.after-fence"))
    await run_step("shell: takeover from a frozen transaction", 20, once, _nothing)


@pytest.mark.requirement("SP-6")
async def test_kills_and_the_time_to_be_live_again(group: Group) -> None:
    def in_time(figures: dict[str, Any]) -> None:
        assert figures["worst"] <= LIVE_AGAIN_SECONDS, figures

    await run_step("shell: live again after SIGKILL", 20, many(lambda number: killed_once(group, number)), in_time)


@pytest.mark.requirement("SP-5")
async def test_memory_over_a_million_events(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    async def read(count: int) -> dict[str, Any]:
        await ground.fill(fresh_kafka, count)
        async with processes(environ_for(database, fresh_kafka), BOARD.group) as members:
            member = members.start("only")
            sizes = []
            for part in range(1, 6):
                await until(lambda part=part: ground.has_read(database.url("superuser"), count * part // 5), 3600)  # type: ignore[misc]
                sizes.append(round(member.rss_bytes() / MIB, 1))
            return {"events": count, "rss_mib": sizes, "cpu_seconds": member.cpu_seconds(), "cores": os.cpu_count()}

    def flat(figures: dict[str, Any]) -> None:
        sizes = figures["rss_mib"]
        assert max(sizes) <= 150, figures
        assert sizes[-1] - sizes[1] <= 10, figures

    await run_step("shell: memory over a million events", 1_000_000, read, flat)


def _nothing(figures: dict[str, Any]) -> None:
    """`Group.settle` has judged every round."""
