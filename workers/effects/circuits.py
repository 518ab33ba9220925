"""What the answers of a channel say about its endpoint: bad ones in a row open its circuit, a good one closes it.

Healthy channels cost nothing: good answers are noted only where bad ones came before.
"""

import asyncpg

from domain.effects.channels import ChannelKey, Limits
from domain.effects.claiming import note_answers
from domain.effects.effect import Answer, ClaimedEffect, Retry
from runtime.logging import get_logger
from runtime.postgres import is_transient
from workers.effects import metrics
from workers.effects.batches import Batches

log = get_logger(__name__)


class Circuits:
    """`failing`: channels that were failing when their calls were claimed, here or elsewhere."""

    def __init__(self, scan: asyncpg.Pool, limits: Limits) -> None:
        self._scan, self._limits = scan, limits
        self._failing: set[ChannelKey] = set()
        self._batches: Batches[ChannelKey, bool] = Batches(self._work, size=1_000, abreast=1)

    def heard(self, failing: frozenset[ChannelKey]) -> None:
        """Channels that a claim found failing."""
        self._failing |= failing

    def answered(self, effect: ClaimedEffect, answer: Answer) -> None:
        """Note an answer. A refusal shows that the other side is alive."""
        channel, alive = (effect.tenant_id, effect.endpoint), not isinstance(answer, Retry)
        if not alive or channel in self._failing:
            self._batches.put(channel, alive)

    async def join(self) -> None:
        """Wait until everything is noted."""
        await self._batches.join()

    async def _work(self, channel: ChannelKey, answers: list[bool]) -> None:
        try:
            async with self._scan.acquire() as conn, conn.transaction():
                failures, seconds = await note_answers(conn, channel, answers, self._limits)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("answers of an endpoint were not counted", tenant_id=channel[0], host=channel[1], error=error)
            return
        if seconds > 0:
            metrics.circuits_opened.inc()
            log.warning(
                "circuit opens", tenant_id=channel[0], object_id=channel[1], count=failures, delay_ms=int(seconds * 1000)
            )
        if failures:
            self._failing.add(channel)
        else:
            self._failing.discard(channel)
