"""Which effects and timers there are: who calls, who performs, who owns, who handles. The one place where they are wired."""

from collections.abc import Sequence

from domain.effects.effect import Sender
from domain.effects.wiring import Wiring
from domain.timers.timer import Handler
from runtime.settings import Settings


def senders(_settings: Settings) -> Sequence[Sender]:
    """One for each kind that goes over the network."""
    return ()


def wiring(_settings: Settings) -> Wiring:
    """Owners, and kinds that need no network."""
    return Wiring()


def timer_handlers(_settings: Settings) -> dict[str, Handler]:
    """What a due timer of each kind does."""
    return {}
