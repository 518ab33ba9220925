"""How a process and its supervisor live and end, without servers."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from runtime.cli.run import children
from runtime.running import process
from runtime.running.process import Part, run_parts
from runtime.running.supervisor import pause_before
from runtime.settings import Settings
from schemas.errors import TransientError


def part(run: Callable[[], Awaitable[None]], name: str = "one") -> Part:
    return Part(name, "worker", run, lambda: True)


async def test_a_part_that_fails_stops_the_others_and_its_error_is_the_process_error() -> None:
    stop, left = asyncio.Event(), []

    async def fails() -> None:
        raise LookupError("bug")

    async def works() -> None:
        await stop.wait()
        left.append("orderly")

    with pytest.raises(LookupError):
        await run_parts([part(fails), part(works, "two")], stop)
    assert left == ["orderly"]


async def test_a_part_that_ends_by_itself_ends_the_process() -> None:
    async def ends() -> None:
        return

    with pytest.raises(TransientError, match="ended by itself"):
        await run_parts([part(ends)], asyncio.Event())


async def test_a_server_that_is_away_when_we_leave_is_no_failure() -> None:
    stop = asyncio.Event()

    async def leaves() -> None:
        await stop.wait()
        raise ConnectionResetError

    asyncio.get_running_loop().call_soon(stop.set)
    await run_parts([part(leaves)], stop)


async def test_a_part_that_does_not_finish_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.05)
    stop = asyncio.Event()
    stop.set()

    with pytest.raises(TransientError, match="cut off"):
        await run_parts([part(asyncio.Event().wait)], stop)  # type: ignore[arg-type]


def test_the_first_death_costs_no_time_the_next_ones_more_and_more() -> None:
    assert [pause_before(deaths) for deaths in range(1, 6)] == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert pause_before(50) == 30.0


def test_children_are_the_roles_with_their_numbers_and_ports() -> None:
    settings = Settings.load(
        {"DATABASE_URL": "postgresql://x", "KAFKA_BOOTSTRAP_SERVERS": "x:1", "CASESTREAM_HEALTH__PORT": "9100"}
    )

    made = {child.name: child for child in children(settings, {"work-items": 2, "relay": 0}, wait=True)}

    groups = ["cases-0", "entities-0", "workflow-engine-0", "onboarding-0", "saga-0"]
    others = [*groups, "projections-0", "effects-0", "timers-0", "workers-0", "monitor-0", "ddl-0"]
    assert list(made) == ["api-0", "work-items-0", "work-items-1", *others]
    assert made["work-items-1"].arguments == ["run", "work-items", "--number", "1", "--tied", "--wait"]
    assert [child.environment["CASESTREAM_HEALTH__PORT"] for child in made.values()] == [str(9100 + n) for n in range(14)]
