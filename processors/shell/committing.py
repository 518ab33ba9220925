"""Getting a batch committed, however often it takes.

Transient trouble (network, deadlock, time limit, pool, broker) repeats the same batch with jittered backoff, for ever. Any
other failure is somebody's message: the batch is split in halves until the culprit stands alone, and that one is parked.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

import asyncpg

from processors.shell.batch import Batch
from processors.shell.messages import Poison
from processors.shell.offsets import LostFence
from processors.shell.plan import Outcome
from runtime.logging import get_logger
from runtime.postgres import is_transient

log = get_logger(__name__)

# After so many time limits in a row the batch is too big for the server as it is now.
TIME_LIMITS_BEFORE_SPLIT = 3
_TIME_LIMITS = (asyncpg.QueryCanceledError, asyncpg.TransactionTimeoutError)

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
        attempt = limits = 0
        while True:
            try:
                outcome = await self._apply(batch)
            except LostFence:
                raise
            except Exception as error:  # noqa: BLE001 - its class decides: repeat, split, or park the culprit
                limits = limits + 1 if isinstance(error, _TIME_LIMITS) else 0
                log.warning("batch failed", error=error, attempt=attempt, records=len(batch.items))
                if is_transient(error) and not (limits >= TIME_LIMITS_BEFORE_SPLIT and len(batch.items) > 1):
                    attempt += 1
                    await self._back_off(attempt)
                    continue
                await self._split(batch, error)
            else:
                self._committed(batch, outcome)
            return

    async def _split(self, batch: Batch, error: Exception) -> None:
        if not batch.items or (len(batch.items) == 1 and isinstance(batch.items[0], Poison)):
            # Parking itself fails: no message is to blame. The supervisor restarts the process, loudly.
            raise error
        if len(batch.items) == 1:
            await self.commit(batch.poisoned(error))
            return
        for half in batch.halves():
            await self.commit(half)

    async def _back_off(self, attempt: int) -> None:
        if self._stop.is_set():
            raise Stopping
        delay = min(0.05 * 2 ** min(attempt, 6), 2.0) * random.uniform(0.5, 1.0)
        try:
            await asyncio.wait_for(self._stop.wait(), delay)
        except TimeoutError:
            return
        raise Stopping
