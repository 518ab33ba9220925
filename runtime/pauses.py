"""Waiting that the end of a process cuts short: whoever loops until a stop event waits here."""

import asyncio


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """So many seconds, but not past `stop`."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
