"""How fast a rebuild may be: so many records per second for all its processes together. Reads the clock that it is given."""

from collections.abc import Callable


class Pace:
    """One process's share of a rate; `rate` None is no limit, and may change at any time.

    A debt is waited for between batches, never inside a transaction. What was owed under a rate that is gone is forgotten.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._free_at = 0.0
        self.rate: float | None = None

    def spend(self, records: int) -> None:
        """So many records were read."""
        if self.rate:
            self._free_at = max(self._free_at, self._clock()) + records / self.rate

    def owed(self) -> float:
        """Seconds to wait before the next records."""
        if not self.rate:
            self._free_at = 0.0
        return max(0.0, self._free_at - self._clock())
