"""When poison is no longer poison but a bug: more than N newly poisoned and more than a share of a minute's messages. Pure."""

from collections import deque


class ParkRate:
    """A sliding minute. Followers and gaps are not counted; `now` in seconds of any monotonic clock."""

    WINDOW_SECONDS = 60.0

    def __init__(self, count: int, share: float) -> None:
        self._count, self._share = count, share
        self._batches: deque[tuple[float, int, int]] = deque()
        self._poisoned = self._messages = 0

    def forget(self) -> None:
        """The group was stopped and resumed: what was before counts no more."""
        self._batches.clear()
        self._poisoned = self._messages = 0

    def add(self, now: float, messages: int, poisoned: int) -> bool:
        """Note a batch; True when both bounds are passed."""
        self._batches.append((now, messages, poisoned))
        self._messages += messages
        self._poisoned += poisoned
        while self._batches[0][0] <= now - self.WINDOW_SECONDS:
            _, old_messages, old_poisoned = self._batches.popleft()
            self._messages -= old_messages
            self._poisoned -= old_poisoned
        return self._poisoned > self._count and self._poisoned > self._share * self._messages
