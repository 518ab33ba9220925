"""One process: its parts run side by side until `stop`, then finish what they have begun and leave within GRACE_SECONDS.

A part that fails or ends by itself takes the process down with it: a supervisor or an orchestrator starts it again, and
a half-working process is never mistaken for a whole one. Owns signals, log identity and memory hygiene of the process.
"""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog
from aiokafka.errors import KafkaError

from runtime import health, logging
from runtime.logging import get_logger
from runtime.postgres import Role, is_transient
from runtime.running.schema import await_schema, require_schema
from runtime.settings import Settings
from schemas.errors import TransientError

log = get_logger(__name__)

# From the signal to the end; orchestrators should give a little more before they kill.
GRACE_SECONDS = 18.0
# As many as two batches of a thousand messages have; a few megabytes.
YOUNG_OBJECTS = 50_000


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a role: `run` returns after the stop event it was built with, not before.

    `role` is the database role whose reach it needs; `has_page`: it answers probes on a port of its own; `needs_keys`: it
    encrypts or decrypts, so the shred ledgers are settled before it runs.
    """

    name: str
    role: Role
    run: Callable[[], Awaitable[None]]
    ready: Callable[[], bool]
    has_page: bool = False
    needs_keys: bool = False


# What must be true before parts that need keys begin, for a process with these roles; waits as long as it takes, or `stop`.
Prepare = Callable[[Sequence[Role], asyncio.Event], Awaitable[None]]
Build = Callable[[asyncio.Event], Sequence[Part]]


def run_process(
    settings: Settings, name: str, build: Build, *, prepare: Prepare | None = None, wait: bool = False, tied: bool = False
) -> None:
    """Run the parts in an event loop of this process, after `prepare` if one of them needs keys.

    `tied`: leave when stdin ends, for children of a supervisor. Raises ConfigurationError when the schema is behind (unless
    `wait`), or the error that took a part down.
    """
    logging.configure(settings.log)
    structlog.contextvars.bind_contextvars(instance=settings.instance, role=name)
    run_in_loop(lambda stop: _main(settings, build(stop), stop, wait, prepare), tied=tied)


def run_in_loop(work: Callable[[asyncio.Event], Awaitable[None]], *, tied: bool = False) -> None:
    """Run `work` on uvloop with a stop event that SIGTERM, SIGINT and (tied) the end of stdin set."""
    import uvloop

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _on_signal, number, stop)
        if tied:
            await loop.connect_read_pipe(lambda: _Leash(stop), sys.stdin)
        await work(stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def _main(settings: Settings, parts: Sequence[Part], stop: asyncio.Event, wait: bool, prepare: Prepare | None) -> None:
    roles = sorted({part.role for part in parts})
    if wait:
        await await_schema(settings, roles[0], stop)
    else:
        await require_schema(settings, roles[0], stop)
    if prepare is not None and any(part.needs_keys for part in parts):
        await prepare(sorted({part.role for part in parts if part.needs_keys}), stop)
    if stop.is_set():
        return
    collect_for_batches()
    async with AsyncExitStack() as stack:
        if not all(part.has_page for part in parts):
            checks = {part.name: part.ready for part in parts} | {"running": lambda: not stop.is_set()}
            await stack.enter_async_context(health.serving(settings, checks, roles[0]))
        await run_parts(parts, stop)


def freeze_what_is_loaded() -> None:
    """What was loaded stays: the collector need not look at it again, and its pages stay shared after a fork.

    A full collection stops everything, the door with its 100,000 objects for 25 to 30 ms. Whoever builds something large
    that lives as long as the process calls this once more.
    """
    gc.collect()
    gc.freeze()


def collect_for_batches() -> None:
    """For a process that works in batches: it makes tens of thousands of objects at a time, and they go all together.

    By default the collector looks for circles among them thirty times a batch, and finds none.
    """
    freeze_what_is_loaded()
    gc.set_threshold(YOUNG_OBJECTS)


async def run_parts(parts: Sequence[Part], stop: asyncio.Event) -> None:
    """Until `stop`, or until one part ends by itself: then the others are stopped too and its error is raised."""
    log.info("process starts", pid=os.getpid(), count=len(parts))
    tasks = [asyncio.create_task(_run(part, stop), name=part.name) for part in parts]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    _, late = await asyncio.wait(tasks, timeout=GRACE_SECONDS)
    for task in late:
        log.error("part did not finish in time and is cut off", role=task.get_name())
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=1.0)
    _raise_first([task for task in tasks if task not in late and not task.cancelled()])
    if late:
        raise TransientError(f"{len(late)} part(s) were cut off {GRACE_SECONDS:g} s after the stop: their work comes again")
    log.info("process ends", pid=os.getpid())


async def _run(part: Part, stop: asyncio.Event) -> None:
    try:
        await part.run()
    except Exception as error:
        if stop.is_set() and (is_transient(error) or isinstance(error, KafkaError)):
            log.warning("part left without its servers", role=part.name, error=error)
            return
        log.error("part failed", role=part.name, error=error)
        raise
    if not stop.is_set():
        raise TransientError(f"part {part.name} ended by itself: the process ends, its supervisor starts it again")


def _raise_first(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """The first failure. A client that gives up while it closes cancels its caller: that is no failure."""
    errors = [error for task in tasks if (error := task.exception()) is not None]
    if errors:
        raise errors[0]


def _on_signal(number: signal.Signals, stop: asyncio.Event) -> None:
    log.info("asked to stop", signal=signal.Signals(number).name)
    stop.set()


class _Leash(asyncio.Protocol):
    """The other end of stdin is the supervisor: when it is gone, however it died, this process leaves too."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop.set()
