"""The process: one loop claims, one keeps leases, one looks for what falls due; calls run beside them.

At SIGTERM it claims nothing more, waits for the calls in flight up to a limit, records, and gives back what is left.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Iterable, Sequence

import asyncpg

from domain.effects.channels import Limits
from domain.effects.claiming import Claim, claim, find_work, load_requests, measure
from domain.effects.effect import ClaimedEffect, Sender
from domain.effects.wiring import Wiring
from domain.outbox import Outbox
from runtime.logging import get_logger
from runtime.postgres import KEY_LOOKUPS, is_transient, open_pool
from runtime.settings import EffectSettings, Settings
from workers.effects import metrics
from workers.effects.caller import Caller
from workers.effects.circuits import Circuits
from workers.effects.dues import Dues, look
from workers.effects.recorder import Following, Recorder

log = get_logger(__name__)

RECORDERS = 4
# Each look that finds nothing lets the next one wait so much longer: what falls due is found after a quarter of the time in
# which nothing did.
PATIENCE = 1.25
# A plan that was made while the table was small and is kept on its connection must not read all of it when it has grown.
SEARCHES = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
}
_MEASURE_SECONDS = 5.0


def limits_of(settings: EffectSettings) -> Limits:
    """The limits that all workers share."""
    return Limits(
        tenant_calls=settings.tenant_in_flight,
        channel_calls=settings.channel_in_flight,
        endpoint_calls=settings.endpoint_in_flight,
        tenant_rate=settings.tenant_per_second,
        channel_rate=settings.channel_per_second,
        threshold=settings.circuit_failures,
        first_open_seconds=settings.circuit_seconds,
        longest_open_seconds=settings.circuit_max_seconds,
    )


async def run(settings: Settings, stop: asyncio.Event, senders: Iterable[Sender], wiring: Wiring) -> None:
    """Make calls until `stop`, with a sender for each external kind."""
    scan = await open_pool(settings, "scan", size=5, reset=False, planner=SEARCHES)
    worker = await open_pool(settings, "worker", size=RECORDERS + 2, reset=False, planner=KEY_LOOKUPS)
    try:
        await EffectsWorker(settings, scan, worker, senders, wiring).run(stop)
    finally:
        await scan.close()
        await worker.close()


class EffectsWorker:
    """One process's worker."""

    def __init__(
        self, settings: Settings, scan: asyncpg.Pool, worker: asyncpg.Pool, senders: Iterable[Sender], wiring: Wiring
    ) -> None:
        self._settings = settings.effects
        self._limits = limits_of(settings.effects)
        self._owner = f"{settings.instance}/{os.getpid()}/{secrets.token_hex(3)}"
        self._scan, self._worker = scan, worker
        self._senders = {sender.kind: sender for sender in senders}
        outbox = Outbox(settings.ce_source)
        self._circuits = Circuits(scan, self._limits)
        self._leaving = False
        following = Following(self._owner, self._settings.lease_seconds, self._places_to_follow, self._follow)
        self._recorder = Recorder(worker, outbox, wiring, self._done, abreast=RECORDERS, following=following)
        self._caller = Caller(self._settings, self._senders, scan, self._recorder.put, self._circuits.answered)
        self._dues = Dues(scan, worker, outbox, wiring)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then finish, record, give back."""
        first, longest = self._settings.poll_min_ms / 1000, self._settings.poll_max_ms / 1000
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(self._caller.keep_leases())
            measuring = group.create_task(self._measure())
            looking = group.create_task(look(self._dues, stop, first, longest))
            await self._claim_until(stop, first, longest)
            self._leaving = True
            await self._caller.finish()
            await self._recorder.join()
            await self._circuits.join()
            await looking
            keeping.cancel()
            measuring.cancel()
        await self._caller.give_back()

    def _places_to_follow(self) -> int:
        return 0 if self._leaving else self._caller.places

    def _follow(self, effects: Sequence[ClaimedEffect], asked: float) -> None:
        for effect in effects:
            metrics.claimed.labels(effect.kind).inc()
        self._caller.begin(effects, asked)

    def _done(self, effect: ClaimedEffect) -> None:
        self._caller.forget(effect)

    async def _claim_until(self, stop: asyncio.Event, first: float, longest: float) -> None:
        wait = first
        while not stop.is_set():
            self._caller.freed.clear()
            found = await self._claim()
            wait = first if found else min(wait * PATIENCE, longest)
            if not found:
                await self._rest(stop, wait)

    async def _rest(self, stop: asyncio.Event, seconds: float) -> None:
        """So long, but not past a recorded outcome, which may have made the next of its line due, and not past `stop`."""
        waiting = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(self._caller.freed.wait())]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    async def _claim(self) -> bool:
        """One look; whether calls were begun."""
        if not self._senders or self._caller.places <= 0:
            return False
        asked = time.monotonic()
        try:
            claimed = await self._lease()
            if not claimed.effects:
                return False
            self._circuits.heard(claimed.failing)
            async with self._worker.acquire() as conn:
                effects = await load_requests(conn, claimed.effects)
        except Exception as error:
            if not is_transient(error):
                raise
            # What was leased just now is taken over when its lease ends.
            log.warning("effects were not claimed", error=error)
            return False
        for effect in effects:
            metrics.claimed.labels(effect.kind).inc()
        self._caller.begin(effects, asked)
        return bool(effects)

    async def _lease(self) -> Claim:
        kinds, life = sorted(self._senders), self._settings.lease_seconds
        async with self._scan.acquire() as conn:
            work = await find_work(conn, kinds, life)
            if not any(work):
                return Claim()
            async with conn.transaction():
                places, expired = self._caller.places, work.expired
                return await claim(conn, kinds, self._limits, places, owner=self._owner, life=life, expired=expired)

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(_MEASURE_SECONDS)
            try:
                metrics.oldest_due.set(await measure(self._scan))
            except Exception as error:
                if not is_transient(error):
                    raise
