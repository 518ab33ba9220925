"""The calls in flight: each outside any transaction, under a lease that is renewed until its outcome is recorded.

A call is not begun when its lease may have run out, and is given up when another worker has taken it over; its answer could
not be recorded anyway. What a sender raises, and a call that takes too long, counts as an answer of "not now".
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from domain.effects.claiming import release, renew
from domain.effects.commands import Judged
from domain.effects.decisions import ERASED, LOST, Finished, is_lost, judge
from domain.effects.effect import Answer, Call, ClaimedEffect, Retry, Sender
from runtime.failpoints import reach
from runtime.logging import get_logger
from runtime.postgres import is_transient
from runtime.settings import EffectSettings
from workers.effects import metrics

log = get_logger(__name__)

# Clocks of two machines run at slightly different speeds.
_MARGIN_SECONDS = 0.5


@dataclass(slots=True)
class Holding:
    """A leased effect of this process; `task` while its call is on its way."""

    effect: ClaimedEffect
    trusted_until: float
    task: asyncio.Task[None] | None = None


class Caller:
    """Makes calls. `judged` gets each verdict, `answered` each answer of an endpoint; `done` ends what was begun."""

    def __init__(
        self,
        settings: EffectSettings,
        senders: Mapping[str, Sender],
        scan: asyncpg.Pool,
        judged: Callable[[Judged], None],
        answered: Callable[[ClaimedEffect, Answer], None],
    ) -> None:
        self._settings, self._senders, self._scan = settings, senders, scan
        self._judged, self._answered = judged, answered
        self._held: dict[tuple[str, UUID], Holding] = {}
        self.freed = asyncio.Event()

    @property
    def places(self) -> int:
        """How many more calls this process takes."""
        return self._settings.in_flight - len(self._held)

    def begin(self, effects: Sequence[ClaimedEffect], asked: float) -> None:
        """Call each. `asked`: the monotonic time before the leases were taken."""
        for effect in effects:
            holding = Holding(effect, self._trust(asked))
            self._held[effect.tenant_id, effect.id] = holding
            holding.task = asyncio.create_task(self._call(holding))
        metrics.in_flight.set(len(self._held))

    def forget(self, effect: ClaimedEffect, *, look: bool = True) -> None:
        """Its outcome is recorded, or cannot be: the lease is renewed no more. `look`: something may be due because of it."""
        full = self.places <= 0
        self._held.pop((effect.tenant_id, effect.id), None)
        metrics.in_flight.set(len(self._held))
        if look or full:
            self.freed.set()

    async def keep_leases(self) -> None:
        """Renew every lease of this process, again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(self._settings.renew_seconds)
            if self._held:
                await self._renew()

    async def finish(self) -> None:
        """Wait for the calls in flight, but not for ever; give the others back."""
        tasks = [holding.task for holding in self._held.values() if holding.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._settings.drain_seconds)
            for task in late:
                task.cancel()
            if late:
                log.warning("calls were cut off by the end of the process; others make them again", count=len(late))
                await asyncio.wait(late, timeout=1.0)

    async def give_back(self) -> None:
        """Release what is still held, so that others need not wait for the leases to end."""
        if self._held:
            await release(self._scan, self._terms())
            self._held.clear()

    async def _call(self, holding: Holding) -> None:
        effect = holding.effect
        if effect.request is None:
            self._judged(Judged(effect, Finished(False, ERASED)))
        elif is_lost(effect.attempt, effect.failures):
            self._judged(Judged(effect, Finished(False, LOST)))
        elif time.monotonic() >= holding.trusted_until:
            self.forget(effect)
        else:
            await reach("effects.claimed")
            answer = await self._ask(effect)
            await reach("effects.called")
            self._answered(effect, answer)
            self._judged(Judged(effect, judge(answer, effect.retry, effect.failures, random.random())))
        holding.task = None

    async def _ask(self, effect: ClaimedEffect) -> Answer:
        assert effect.request is not None
        call = Call(effect.id, effect.tenant_id, effect.attempt, effect.request, effect.endpoint)
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._settings.call_seconds):
                return await self._senders[effect.kind].send(call)
        except TimeoutError:
            return Retry("timeout")
        except Exception as error:  # noqa: BLE001 - a bug of a sender must not lose the effect
            # A sender answers; what it raises is a bug of ours or a network fault, and neither may lose the effect.
            log.warning("sender raised", kind=effect.kind, tenant_id=effect.tenant_id, aggregate_id=str(effect.id), error=error)
            return Retry(type(error).__name__)
        finally:
            metrics.call_seconds.labels(effect.kind).observe(time.monotonic() - began)

    async def _renew(self) -> None:
        asked, terms = time.monotonic(), self._terms()
        try:
            kept = await renew(self._scan, terms, self._settings.lease_seconds)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("leases of calls were not renewed", error=error)
            return
        for key, term in terms.items():
            holding = self._held.get(key)
            if holding is None or holding.effect.term != term:
                continue
            if key in kept:
                holding.trusted_until = self._trust(asked)
            elif holding.task is not None and time.monotonic() >= holding.trusted_until:
                holding.task.cancel()
                self.forget(holding.effect)

    def _terms(self) -> dict[tuple[str, UUID], int]:
        return {key: holding.effect.term for key, holding in self._held.items()}

    def _trust(self, asked: float) -> float:
        return asked + self._settings.lease_seconds - _MARGIN_SECONDS
