"""Which effects and timers there are: who performs, who owns, who handles. The one place where they are wired; who calls is in
workers/senders/opening.py, because senders are opened and closed."""

from domain.effects.wiring import DELAY, Wiring, perform_delay
from domain.notifications.performing import KIND as NOTIFICATION
from domain.notifications.performing import notify
from domain.timers.timer import Handler
from runtime.settings import Settings


def wiring(_settings: Settings) -> Wiring:
    """Owners, and kinds that need no network."""
    return Wiring(internals={DELAY: perform_delay, NOTIFICATION: notify})


def timer_handlers(_settings: Settings) -> dict[str, Handler]:
    """What a due timer of each kind does."""
    return {}
