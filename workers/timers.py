"""The role `timers`: fires what is due, tenant by tenant, in pages of one transaction each, by the database's clock.

Several schedulers share the work: each takes what no other holds. A handler that raises keeps no other timer waiting: its page
is taken apart, and the culprit is looked at again in a minute, with an incident.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg

from domain.incidents import open_incident
from domain.timers.commands import find_tenants, fire, postpone
from domain.timers.timer import Fired, Handler, Timer
from runtime.failpoints import reach
from runtime.logging import get_logger
from runtime.pauses import pause
from runtime.postgres import is_transient, open_pool, tenants_transaction
from runtime.settings import Settings
from runtime.sql import Connection
from workers import metrics

log = get_logger(__name__)

PAGE = 500
_AGAIN_SECONDS = 60.0


async def run(settings: Settings, stop: asyncio.Event, handlers: Mapping[str, Handler]) -> None:
    """Fire timers until `stop`, with a handler for each kind."""
    # As of the searches of effects: a plan of a small table is kept while the table grows.
    scan = await open_pool(settings, "scan", size=1, planner={"enable_seqscan": "off", "enable_bitmapscan": "off"})
    worker = await open_pool(settings, "worker", size=1)
    try:
        scheduler = Scheduler(scan, worker, handlers)
        await scheduler.run(stop, settings.effects.poll_min_ms / 1000, settings.effects.poll_max_ms / 1000)
    finally:
        await scan.close()
        await worker.close()


class Scheduler:
    """One process's scheduler."""

    def __init__(self, scan: asyncpg.Pool, worker: asyncpg.Pool, handlers: Mapping[str, Handler]) -> None:
        self._scan, self._worker, self._handlers = scan, worker, handlers

    async def run(self, stop: asyncio.Event, first: float, longest: float) -> None:
        """Rounds until `stop`, closer together while there is something to do."""
        wait = first
        while not stop.is_set():
            try:
                fired = await self.round(stop)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("timers were not fired", error=error)
                fired = 0
            wait = first if fired else min(wait * 2, longest)
            await pause(stop, wait)

    async def round(self, stop: asyncio.Event) -> int:
        """A page of each tenant that has due timers; how many were fired."""
        fired = 0
        for tenant_id in await find_tenants(self._scan):
            if stop.is_set():
                break
            fired += await self._page(tenant_id)
        return fired

    async def _page(self, tenant_id: str) -> int:
        try:
            return await self._fire(tenant_id, self._handlers, PAGE)
        except Exception as error:
            if is_transient(error):
                raise
            log.error("timers of a tenant could not be fired together", tenant_id=tenant_id, error=error)
        guarded = {kind: _one_by_one(handler) for kind, handler in self._handlers.items()}
        # One timer in each transaction, as many as there were: what a culprit wrote before it raised is rolled back with it.
        fired = 0
        for _ in range(PAGE):
            try:
                count = await self._fire(tenant_id, guarded, 1)
            except _Culprit as culprit:
                await self._set_aside(culprit)
                count = 1
            if count == 0:
                break
            fired += count
        return fired

    async def _fire(self, tenant_id: str, handlers: Mapping[str, Handler], most: int) -> int:
        async with tenants_transaction(self._worker, [tenant_id]) as conn:
            ended = await fire(conn, handlers, tenant_id, most)
            await reach("timers.firing")
        await reach("timers.fired")
        for kind, one in ended:
            metrics.timers_fired.labels(kind, "outdated" if one.outdated else "fired").inc()
        return len(ended)

    async def _set_aside(self, culprit: "_Culprit") -> None:
        timer = culprit.timer
        log.error("timer could not be fired", tenant_id=timer.tenant_id, kind=timer.kind, error=culprit.__cause__)
        async with tenants_transaction(self._worker, [timer.tenant_id]) as conn:
            await postpone(conn, timer, culprit.now, _AGAIN_SECONDS)
            await open_incident(
                conn,
                tenant_id=timer.tenant_id,
                kind="timer-failed",
                fingerprint=f"{timer.kind}|{type(culprit.__cause__).__name__}",
                summary=f"timers of kind {timer.kind} cannot be fired",
                object_type="timer",
                object_id=timer.key,
                cure="see the log; it is tried again every minute",
            )


class _Culprit(Exception):
    """Its handler raised for this timer alone."""

    def __init__(self, timer: Timer, now: datetime) -> None:
        self.timer, self.now = timer, now
        super().__init__(timer.kind)


def _one_by_one(handler: Handler) -> Handler:
    async def guarded(conn: Connection, timers: Sequence[Timer], now: datetime) -> Sequence[Fired]:
        try:
            return await handler(conn, timers, now)
        except Exception as error:
            if is_transient(error):
                raise
            raise _Culprit(timers[0], now) from error

    return guarded
