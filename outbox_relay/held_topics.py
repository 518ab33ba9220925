"""Topics whose rows wait for a moment, so that the other topics of their shards flow. Pure: the time is an argument.

A topic is held back whole, so no key of it can overtake itself. A poll that leaves topics out does not see all unsent rows:
while any is held, no floor may rise.
"""

from collections.abc import Iterable
from dataclasses import dataclass

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class _Hold:
    until: float
    seconds: float


class HeldTopics:
    """Each trouble in a row holds a topic twice as long, up to a bound that keeps its return quick."""

    def __init__(self) -> None:
        self._holds: dict[str, _Hold] = {}

    def names(self, now: float) -> frozenset[str]:
        """What the next poll leaves out."""
        return frozenset(topic for topic, hold in self._holds.items() if now < hold.until)

    def is_suspect(self, topic: str) -> bool:
        """Whether its last attempt failed, held back or not."""
        return topic in self._holds

    def hold(self, topics: Iterable[str], now: float) -> None:
        """An attempt failed for the reason of these topics alone."""
        for topic in topics:
            known = self._holds.get(topic)
            seconds = min(2 * known.seconds, LONGEST_SECONDS) if known else FIRST_SECONDS
            self._holds[topic] = _Hold(now + seconds, seconds)

    def release(self, topics: Iterable[str]) -> None:
        """An attempt succeeded."""
        for topic in topics:
            self._holds.pop(topic, None)
