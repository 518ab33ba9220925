"""Writes what calls came to: per tenant and kind of owner, everything that waits in one transaction.

A database that is away is waited for: the leases are renewed meanwhile, and if they are lost nothing is written. When what
follows an outcome raises, the outcome must still be recorded, or the call would be made again and again: the batch is taken
apart, and the culprit's outcome is written without performing what comes behind it; the loop of dues does that by itself.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import asyncpg

from domain.effects.commands import Judged, record, take_next
from domain.effects.decisions import Again
from domain.effects.effect import ClaimedEffect, Outcome
from domain.effects.wiring import Wiring
from domain.incidents import open_incident
from domain.outbox import Outbox
from runtime.failpoints import reach
from runtime.logging import get_logger
from runtime.postgres import is_transient, tenants_transaction
from runtime.sql import Connection
from workers.effects import metrics
from workers.effects.batches import Batches

log = get_logger(__name__)

BATCH = 200
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
# A tenant and a kind of owner.
Group = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Following:
    """How a process goes on with what its outcomes bring about: `places` it has left, `begin(effects, asked)` calls them."""

    owner: str
    life: float
    places: Callable[[], int]
    begin: Callable[[Sequence[ClaimedEffect], float], None]


class Recorder:
    """`put` verdicts; `done` hears of each effect that is recorded or cannot be."""

    def __init__(
        self,
        worker: asyncpg.Pool,
        outbox: Outbox,
        wiring: Wiring,
        done: Callable[[ClaimedEffect], None],
        *,
        abreast: int,
        following: Following,
    ) -> None:
        self._worker, self._outbox, self._wiring, self._done = worker, outbox, wiring, done
        self._following = following
        self._batches: Batches[Group, Judged] = Batches(self._work, size=BATCH, abreast=abreast, rests=self._rests)

    def put(self, judged: Judged) -> None:
        """Record it soon."""
        self._batches.put((judged.effect.tenant_id, judged.effect.owner_kind), judged)

    def _rests(self, group: Group) -> bool:
        """Whoever makes the next call himself waits for his outcomes; of the others the claiming loop does not."""
        return group[1] not in self._wiring.discreet

    async def join(self) -> None:
        """Wait until everything is recorded."""
        await self._batches.join()

    async def _work(self, group: Group, batch: list[Judged]) -> None:
        try:
            await self._record(group, batch, self._wiring)
        except Exception as error:  # noqa: BLE001 - the batch is taken apart
            metrics.record_failures.inc()
            log.error("outcomes could not be recorded together", tenant_id=group[0], aggregate=group[1], error=error)
            for judged in batch:
                await self._record_alone(group, judged)
        finally:
            for judged in batch:
                self._done(judged.effect)

    async def _record_alone(self, group: Group, judged: Judged) -> None:
        for wiring in (self._wiring, replace(self._wiring, internals={})):
            try:
                await self._record(group, [judged], wiring)
                return
            except Exception as error:  # noqa: BLE001 - what follows is left out
                log.error("outcome could not be recorded", aggregate_id=str(judged.effect.id), error=error)
        async with tenants_transaction(self._worker, [group[0]]) as conn:
            await open_incident(
                conn,
                tenant_id=group[0],
                kind="effect-outcome",
                fingerprint=group[1],
                summary=f"outcomes of effects cannot be folded into their owners of kind {group[1]}",
                object_type="owner",
                object_id=judged.effect.owner_id,
                cure="see the log; the calls are made again under the same ids, and given up after some attempts",
            )

    async def _take(self, conn: Connection, counted: Sequence[Outcome], wiring: Wiring) -> list[ClaimedEffect]:
        kinds, following = sorted(wiring.followed), self._following
        return await take_next(conn, counted, kinds, following.places(), owner=following.owner, life=following.life)

    async def _record(self, group: Group, batch: list[Judged], wiring: Wiring) -> None:
        """One transaction, tried again while the trouble is the server's. Raises what is not."""
        pause = _FIRST_PAUSE
        while True:
            try:
                asked = time.monotonic()
                async with tenants_transaction(self._worker, [group[0]]) as conn:
                    counted = await record(conn, self._outbox, wiring, batch)
                    following = await self._take(conn, counted, wiring)
                    await reach("effects.recording")
                await reach("effects.recorded")
                self._following.begin(following, asked)
                break
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("outcomes are recorded once more", tenant_id=group[0], aggregate=group[1], error=error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        kinds = {judged.effect.id: judged.effect.kind for judged in batch}
        for outcome in counted:
            metrics.outcomes.labels(kinds[outcome.effect_id], outcome.result).inc()
        again = [judged for judged in batch if isinstance(judged.verdict, Again)]
        for judged in again:
            metrics.postponed.labels(judged.effect.kind).inc()
        metrics.forgotten.inc(len(batch) - len(counted) - len(again))
