"""The outbox relay: the loop that keeps leases, horizon and lanes of one process alive.

Owns the lifetime of everything that was read over a set of connections: when one of them breaks, leases, floors and the
horizon's candidate are thrown away together and read again (a crashed database may have taken back sequence numbers).
Keeps P1 and, per key, P4. Restarts by itself while PostgreSQL or Kafka is away; knows no business type.
"""

import asyncio
import contextlib
import math
import os
import random
import secrets
import time
from typing import Any, TypeVar

import asyncpg
from aiokafka.errors import KafkaError

from outbox_relay import metrics
from outbox_relay.floor import Horizon
from outbox_relay.lane import Lane
from outbox_relay.lease import ShardLeases
from outbox_relay.page import queries as page_queries
from runtime.logging import get_logger
from runtime.pauses import pause
from runtime.postgres import TRANSIENT, open_pool
from runtime.settings import Settings
from runtime.sql import Connection, load_queries
from schemas.errors import ConfigurationError

log = get_logger(__name__)
queries = load_queries(__file__)

Result = TypeVar("Result")

LANES = 2
_CURED_BY_TIME = (*TRANSIENT, KafkaError)
# A new candidate at most so often, and how often a waiting one is looked at.
_DRAW_SECONDS = 1.0
_RIPENING_SECONDS = 0.1
_HUNGRY_SECONDS = 0.5
_MEASURE_SECONDS = 5.0
_MEASURE_BOUND = 100_000
_LONGEST_BACKOFF = 5.0
# A writing transaction that keeps the floors down is worth a warning every so often.
_STALL_SECONDS = 10.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Relay until `stop`. Raises ConfigurationError when the outbox's sequence hands out ids in blocks."""
    pool = await _unless_stopped(asyncio.ensure_future(open_pool(settings, "scan", size=LANES + 2)), stop)
    if pool is None:
        return
    try:
        await OutboxRelay(settings, pool).run(stop)
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(pool.close(), 2.0)
        pool.terminate()


class OutboxRelay:
    """One relay process. Its name is new at every start, so nothing of a former life is taken for its own."""

    def __init__(self, settings: Settings, pool: asyncpg.Pool) -> None:
        self.owner = f"{settings.instance}/{os.getpid()}/{secrets.token_hex(3)}"
        self._settings, self._pool = settings, pool
        self._horizon = Horizon()
        self._draw_due = 0.0
        self._stall_warnings = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Session after session until `stop`: each begins with new connections and ends with the first that breaks."""
        failures = 0
        while not stop.is_set():
            began = time.monotonic()
            try:
                await self._session(stop)
            except (ExceptionGroup, *_CURED_BY_TIME) as raised:
                error = _first_error(raised)
                if not isinstance(error, _CURED_BY_TIME):
                    raise error from None
                failures = 0 if time.monotonic() - began > _LONGEST_BACKOFF else failures + 1
                log.warning("relay lost a connection, begins anew", owner=self.owner, error=error, attempt=failures)
                delay = min(_LONGEST_BACKOFF, 0.1 * 2.0**failures) * random.uniform(0.5, 1.0)
                await pause(stop, delay)

    async def _session(self, stop: asyncio.Event) -> None:
        async with contextlib.AsyncExitStack() as stack:
            conn, *lane_conns = [await stack.enter_async_context(self._pool.acquire()) for _ in range(LANES + 1)]
            await refuse_sequence_in_blocks(conn)
            self._horizon = Horizon()
            leases = ShardLeases(self.owner, self._settings.relay.lease_seconds)
            # Without a session nobody renews: what the gauge says must not outlive it.
            stack.callback(metrics.LEADER.clear)
            await leases.resume(conn)
            lanes = [
                Lane(self._settings, lane_conn, leases, self._settled, number, LANES)
                for number, lane_conn in enumerate(lane_conns)
            ]
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(self._keep_leases(conn, leases, lanes)),
                    group.create_task(self._measure(leases)),
                ]
                await asyncio.wait([group.create_task(lane.run(stop)) for lane in lanes])
                for task in beside:
                    task.cancel()
            await leases.withdraw(conn)

    def _settled(self) -> int:
        return self._horizon.settled

    async def _keep_leases(self, conn: Connection, leases: ShardLeases, lanes: list[Lane]) -> None:
        """Renew, split and release on time; beside that, move the horizon."""
        renew_due = 0.0
        while True:
            now = time.monotonic()
            if now >= renew_due:
                share = await self._tend(conn, leases)
                # Somebody's lease runs out soon, a dead one's perhaps: take it without delay (P5).
                hungry = len(leases.held) < share
                renew_due = now + min(self._settings.relay.renew_seconds, _HUNGRY_SECONDS if hungry else math.inf)
            leaving = [shard for shard, lease in leases.held.items() if lease.leaving]
            if leaving:
                busy = frozenset().union(*(lane.busy for lane in lanes))
                await leases.release(conn, [shard for shard in leaving if shard not in busy])
            await self._move_horizon(conn)
            soon = leaving or self._horizon.candidate is not None
            await asyncio.sleep(_RIPENING_SECONDS if soon else min(renew_due, self._draw_due) - time.monotonic())

    async def _tend(self, conn: Connection, leases: ShardLeases) -> int:
        before = set(leases.held)
        lost = await leases.renew(conn)
        if lost:
            # Perhaps because the sequence was set back: what was settled then is not settled now.
            self._horizon = Horizon()
            log.warning("leases ran out and were taken over", owner=self.owner, shards=sorted(lost))
        share = await leases.split(conn)
        if set(leases.held) != before:
            log.info("shards changed", owner=self.owner, shards=sorted(leases.held), limit=share)
        for shard in before | set(leases.held):
            metrics.LEADER.labels(shard).set(shard in leases.held)
        return share

    async def _move_horizon(self, conn: Connection) -> None:
        """Steps 5 and 6 of the method, in their order: xmin for the waiting candidate; once a second S, then X."""
        if self._horizon.candidate is not None:
            self._horizon = self._horizon.observe(await queries.read_xmin(conn))
        waited = time.monotonic() - self._draw_due
        if waited < 0:
            return
        if self._horizon.candidate is not None:
            self._report_stall(waited)
            return
        self._stall_warnings = 0
        metrics.OLDEST_XACT.set(0)
        last_value = await queries.read_last_value(conn)
        if await queries.lower_floors(conn) or last_value < self._horizon.settled:
            log.error("the outbox's sequence went back (a restore, a reset?): floors above it begin again at 0")
            raise ConnectionResetError("the sequence went back: everything is read again")
        if last_value > self._horizon.settled:
            self._horizon = self._horizon.draw(last_value, await queries.draw_transaction_id(conn))
        self._draw_due = time.monotonic() + _DRAW_SECONDS

    def _report_stall(self, seconds: float) -> None:
        metrics.OLDEST_XACT.set(seconds)
        if seconds > _STALL_SECONDS * (self._stall_warnings + 1):
            self._stall_warnings += 1
            log.warning("a long writing transaction keeps the floors from rising", age_ms=int(seconds * 1000))

    async def _measure(self, leases: ShardLeases) -> None:
        while True:
            began = time.monotonic()
            async with self._pool.acquire() as conn:
                await page_queries.prepare_lane(conn)
                backlog = await queries.measure_backlog(conn, shards=list(leases.held), bound=_MEASURE_BOUND)
            metrics.UNSENT_ROWS.set(backlog["unsent"])
            metrics.OLDEST_UNSENT.set(backlog["oldest_seconds"])
            # Counting a long backlog takes a while; it must not take a share of the time that empties it.
            await asyncio.sleep(max(_MEASURE_SECONDS, 50 * (time.monotonic() - began)))


async def refuse_sequence_in_blocks(conn: Connection) -> None:
    """Raises ConfigurationError unless ids are drawn one by one and rising: the floor counts on it."""
    sequence = await queries.find_sequence(conn)
    if sequence["cache"] != 1 or sequence["increment"] != 1 or sequence["cycles"]:
        found = f"cache {sequence['cache']}, increment {sequence['increment']}, cycle {sequence['cycles']}"
        cure = "alter table outbox_events alter column id set cache 1 set increment 1 set no cycle"
        raise ConfigurationError([f"sequence of outbox_events.id: found {found}, expected 1, 1, no; as cs_migrate: {cure}"])


async def _unless_stopped(work: "asyncio.Future[Result]", stop: asyncio.Event) -> Result | None:
    """The result of `work`, or None when `stop` comes first."""
    stopping = asyncio.ensure_future(stop.wait())
    waited: set[asyncio.Future[Any]] = {work, stopping}
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if work.done():
        return work.result()
    work.cancel()
    return None


def _first_error(error: BaseException) -> BaseException:
    return _first_error(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
