"""How fast a rebuild may be: so many records per second for all its processes together. Knows no clock but its argument."""

from collections.abc import Callable


class Pace:
    """One process's share of a rate. A debt is waited for between batches, never inside a transaction."""

    def __init__(self, clock: Callable[[], float], most_seconds: float = 1.0) -> None:
        self._clock, self._most = clock, most_seconds
        self._free_at = 0.0

    def spend(self, records: int, rate: float | None) -> float:
        """Seconds to wait after these records; no rate, no wait.

        Never longer than a little while at once, since a pause or a new rate must be noticed: the rest stays owed.
        """
        now = self._clock()
        if not rate:
            self._free_at = now
            return 0.0
        self._free_at = max(self._free_at, now) + records / rate
        return min(self._most, self._free_at - now)

    def owed(self) -> float:
        """Seconds that are still to be waited."""
        return max(0.0, min(self._most, self._free_at - self._clock()))
