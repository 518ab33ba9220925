"""A timer of an instance that is due becomes a command to it: what it means is decided under the instance's lock, elsewhere.

Nothing is locked here, because the timers are locked already and whoever holds an instance waits for them.
"""

from collections.abc import Sequence
from datetime import datetime

from domain.onboarding.performing import TIMER
from domain.onboarding.publishing import ordered
from domain.onboarding.waiting import TIMER as CALL
from domain.onboarding.waiting import Overdue
from domain.outbox import Outbox
from domain.timers.timer import Fired, Handler, Timer
from runtime.sql import Connection
from schemas.onboarding import TimerFired


class Firing:
    """What timers of instances do."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    @property
    def handlers(self) -> dict[str, Handler]:
        return {TIMER: self.fire, CALL: Overdue(self._outbox).fire}

    async def fire(self, conn: Connection, timers: Sequence[Timer], now: datetime) -> Sequence[Fired]:
        """Order TimerFired for each."""
        await self._outbox.append(
            conn,
            [ordered(TimerFired.model_validate(timer.command), timer.tenant_id, "system:timers", now) for timer in timers],
        )
        return [Fired(timer.key) for timer in timers]
