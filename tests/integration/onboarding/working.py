"""A worker beside a test, and waiting for what it brings about."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from domain.effects.wiring import Wiring
from tests.integration.onboarding.journeys import Journeys
from tests.waiting import until


@contextlib.asynccontextmanager
async def working(journeys: Journeys, wiring: Wiring | None = None) -> AsyncIterator[None]:
    """A worker that makes calls until the block ends."""
    stop = asyncio.Event()
    running = asyncio.create_task((await journeys.worker(wiring=wiring)).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def ends_as(journeys: Journeys, instance_id: str, *statuses: str, state: str | None = None) -> None:
    """Wait until the instance has one of these statuses, in this state."""

    async def reached() -> bool:
        row = await journeys.row(instance_id)
        return row["status"] in statuses and state in (None, row["current_state"])

    await until(reached, what=f"{instance_id} is one of {statuses}")
