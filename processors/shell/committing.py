"""Getting a batch committed, however often it takes.

Transient trouble (network, deadlock, time limit, pool, broker) repeats the same batch with jittered backoff, for ever. Any
other failure is somebody's message: the batch is split in halves until the culprit stands alone, and that one is parked.
A message is only blamed for itself: what it released from the waiting rows is first left for the next round.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import asyncpg

from processors.shell.batch import Batch
from processors.shell.messages import Poison
from processors.shell.offsets import LostFence
from processors.shell.plan import Outcome
from runtime.logging import get_logger
from runtime.postgres import is_transient
from schemas.errors import ConcurrencyConflict

log = get_logger(__name__)

# After so many time limits in a row the batch is too big for the server as it is now.
TIME_LIMITS_BEFORE_SPLIT = 3
_TIME_LIMITS = (asyncpg.QueryCanceledError, asyncpg.TransactionTimeoutError)
# Another writer was faster: the batch reads anew. After so many in a row it is no race.
CONFLICTS_BEFORE_SPLIT = 10

Apply = Callable[[Batch], Awaitable[Outcome]]
Committed = Callable[[Batch, Outcome], None]


class Stopping(Exception):
    """The process is asked to stop while a batch cannot commit: it will come again."""


class Committer:
    """Commits batches of one group through `apply`; tells `committed` about each transaction."""

    def __init__(self, apply: Apply, committed: Committed, stop: asyncio.Event) -> None:
        self._apply, self._committed, self._stop = apply, committed, stop

    async def commit(self, batch: Batch) -> None:
        """Returns when everything in the batch is committed. Raises LostFence and Stopping."""
        attempt = limits = conflicts = 0
        while True:
            try:
                outcome = await self._apply(batch)
            except LostFence:
                raise
            except Exception as error:  # noqa: BLE001 - its class decides: repeat, split, or park the culprit
                limits = limits + 1 if isinstance(error, _TIME_LIMITS) else 0
                conflicts = conflicts + 1 if isinstance(error, ConcurrencyConflict) else 0
                log.warning("batch failed", error=error, attempt=attempt, records=len(batch.items), **_trace(batch))
                too_big = limits >= TIME_LIMITS_BEFORE_SPLIT and len(batch.items) > 1
                if (is_transient(error) and not too_big) or 0 < conflicts < CONFLICTS_BEFORE_SPLIT:
                    attempt += 1
                    await self._back_off(attempt)
                    continue
                await self._split(batch, error)
            else:
                self._committed(batch, outcome)
            return

    async def _split(self, batch: Batch, error: Exception) -> None:
        if len(batch.items) > 1:
            for half in batch.halves():
                await self.commit(half)
        elif batch.items and not batch.alone:
            await self.commit(replace(batch, alone=True))
        elif not batch.items or isinstance(batch.items[0], Poison):
            # Parking itself fails: no message is to blame. The supervisor restarts the process, loudly.
            raise error
        else:
            await self.commit(batch.poisoned(error))

    async def _back_off(self, attempt: int) -> None:
        if self._stop.is_set():
            raise Stopping
        delay = min(0.05 * 2 ** min(attempt, 6), 2.0) * random.uniform(0.5, 1.0)
        try:
            await asyncio.wait_for(self._stop.wait(), delay)
        except TimeoutError:
            return
        raise Stopping


def _trace(batch: Batch) -> dict[str, str]:
    """The trace of a message that stands alone, so that its failure is found from the request that caused it."""
    event = batch.items[0].event if len(batch.items) == 1 else None
    return {"trace_id": event.traceparent.split("-")[1]} if event and event.traceparent else {}
