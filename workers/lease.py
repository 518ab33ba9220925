"""Leadership of a background job: one holder per name, each under a higher term, all times the database's (SP-7).

    take (expired?) -> renew every 2 s -> release at the end, or lost: somebody took it after 6 s of silence

Three fences keep a holder that was frozen from acting late: its own clock (it trusts a lease only for its life counted
from before the renewal was asked), the renewal, which finds another term, and the term in the job's own statements.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from runtime.logging import get_logger
from runtime.pauses import pause
from runtime.postgres import is_transient
from runtime.sql import load_queries

log = get_logger(__name__)
queries = load_queries(__file__)

LIFE_SECONDS = 6.0
RENEW_SECONDS = 2.0
# Clocks of two machines run at slightly different speeds.
_MARGIN_SECONDS = 0.5


class LostLease(Exception):
    """The lease may be somebody else's by now: stop, and write nothing more."""


@dataclass(slots=True)
class Lease:
    """A held lease. A statement under it names `name` and `term`; a loop asks `require` before each step."""

    name: str
    term: int
    trusted_until: float

    def require(self) -> None:
        """Raises LostLease when the lease may have run out."""
        if time.monotonic() >= self.trusted_until:
            raise LostLease(self.name)


Work = Callable[[Lease], Awaitable[None]]


class Leadership:
    """Competes for one lease and runs `work` while it is held."""

    def __init__(self, pool: asyncpg.Pool, name: str, owner: str, life: float = LIFE_SECONDS, renew: float = RENEW_SECONDS):
        self._pool, self._name, self._owner, self._life, self._renew = pool, name, owner, life, renew

    async def run(self, work: Work, stop: asyncio.Event) -> None:
        """Until `stop`: whenever the lease is ours, run `work`; when it is lost, cancel it and compete again."""
        while not stop.is_set():
            try:
                lease = await self.take()
                if lease is not None:
                    log.info("leading", lease=self._name, term=lease.term, owner=self._owner)
                    await self._lead(lease, work, stop)
            except LostLease:
                log.warning("lease lost", lease=self._name, owner=self._owner)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("leased job interrupted, begins anew", lease=self._name, error=error)
            await pause(stop, self._renew)

    async def take(self) -> Lease | None:
        """The lease under a new term, or None while somebody holds it."""
        asked = time.monotonic()
        term = await queries.take_lease(self._pool, name=self._name, owner=self._owner, life=self._interval())
        return None if term is None else Lease(self._name, term, self._trust(asked))

    async def _lead(self, lease: Lease, work: Work, stop: asyncio.Event) -> None:
        tasks = [asyncio.ensure_future(work(lease)), asyncio.ensure_future(self._keep(lease))]
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            # The job sees `stop` by itself and ends after its step; a lost lease ends it at once.
            if stop.is_set() and not tasks[1].done():
                await asyncio.wait({tasks[0]}, timeout=self._life)
        finally:
            for task in (*tasks, stopping):
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await queries.release_lease(self._pool, name=lease.name, term=lease.term)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _keep(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(self._renew)
            asked = time.monotonic()
            try:
                kept = await queries.renew_lease(self._pool, name=lease.name, term=lease.term, life=self._interval())
            except Exception as error:
                if not is_transient(error):
                    raise
                # The next renewal may succeed in time; if not, our own clock ends the lease.
                lease.require()
                continue
            if not kept:
                raise LostLease(lease.name)
            lease.trusted_until = self._trust(asked)

    def _interval(self) -> timedelta:
        return timedelta(seconds=self._life)

    def _trust(self, asked: float) -> float:
        return asked + self._life - _MARGIN_SECONDS
