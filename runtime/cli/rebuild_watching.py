"""Seeing an order or a rebuild through from a terminal: this process helps the fleet while it watches.

Whoever leaves takes nothing with him: orders and rebuilds are rows, and the processes of the role `projections` go on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg

from domain.rebuilds import commands
from domain.rebuilds.decisions import OPEN
from runtime.cli import operating, output
from runtime.settings import Settings
from schemas.errors import Rejected

_LOOK_SECONDS = 0.5
_FIRST_WORKER = 900  # numbers that no supervised process of this machine has

Row = Mapping[str, Any]


async def carry_out(settings: Settings, pool: asyncpg.Pool, wish: Callable[[Any], Awaitable[Row | Rejected]]) -> Row | Rejected:
    """Order it and see to it until its end. The clerk of another process may take it first, which is as good."""
    order = await operating.write(pool, wish)
    if isinstance(order, Rejected):
        return order
    said = ""
    async with _helping(settings, pool) as (_, clerk):
        while True:
            await clerk.next(order["order_id"])
            row = await commands.find_order(pool, order["order_id"])
            if row["state"] not in ("ordered", "running"):
                return row
            if row["message"] != said:
                said = row["message"]
                output.remark(said)
            await asyncio.sleep(_LOOK_SECONDS)


async def watch_rebuild(settings: Settings, pool: asyncpg.Pool, rebuild_id: UUID, workers: int) -> Row:
    """Move it on and show it until it is ready, or needs somebody. Its worker processes end with us; the fleet goes on."""
    from runtime.running.supervisor import supervise

    stop, processes = asyncio.Event(), None
    try:
        async with _helping(settings, pool) as (conductor, _):
            with _Display() as show:
                while True:
                    row = await commands.find_rebuild(pool, rebuild_id)
                    show(row)
                    if row["state"] not in OPEN or row["state"] == "paused":
                        return row
                    await conductor.round()
                    if processes is None and row["state"] in ("scanning", "catching-up"):
                        processes = asyncio.create_task(supervise(_children(row, workers), stop))
                    await asyncio.sleep(_LOOK_SECONDS)
    except (KeyboardInterrupt, asyncio.CancelledError):
        output.remark("left: the rebuild goes on where processes of the role projections run")
        raise
    finally:
        stop.set()
        if processes is not None:
            await processes


def _children(row: Row, workers: int) -> list[Any]:
    from runtime.running.supervisor import Child

    group = f"projections.{row['name']}.v{row['version']}"
    return [
        Child(
            f"{group}-{number}",
            ["run", group, "--number", str(_FIRST_WORKER + number), "--tied"],
            {"CASESTREAM_HEALTH__PORT": "0"},
        )
        for number in range(workers)
    ]


class _Display:
    """A progress bar for people at a terminal; nothing but the end for programs."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>5.1f} %"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=Console(stderr=True), transient=False)
        self._task = self._bar.add_task("ordered", total=None)
        self._said = ""

    def __enter__(self) -> Callable[[Row], None]:
        self._bar.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _show(self, row: Row) -> None:
        words = f"{row['name']} v{row['version'] or '-'} {row['state']} {row['speed']:,.0f}/s, {row['errors']} errors"
        self._bar.update(self._task, description=words, completed=row["applied"], total=row["total"] or None)
        if row["message"] and row["message"] != self._said:
            self._said = row["message"]
            self._bar.console.print(self._said)


@asynccontextmanager
async def _helping(settings: Settings, pool: asyncpg.Pool) -> Any:
    """A conductor and a clerk of this process; the database's scanning role is needed for the list of tenants."""
    from projections.rebuild.conductor import Conductor
    from projections.rebuild.orders import OrderClerk
    from runtime import logging
    from runtime.postgres import open_pool

    # To stderr, where remarks go, and only what a person must see: the answer stands alone on stdout.
    logging.configure(settings.log.model_copy(update={"level": "error"}))
    async with AsyncExitStack() as stack:
        scan = await open_pool(settings, "scan", size=2, min_size=0, wait=False)
        stack.callback(scan.terminate)
        conductor = Conductor(settings, scan, pool)
        stack.push_async_callback(conductor.close)
        yield conductor, OrderClerk(settings, scan, pool, f"{settings.instance}/cli")
