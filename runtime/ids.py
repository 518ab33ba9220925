"""UUIDv7 (RFC 9562) for rows of our own: sorted by birth, so that an index grows at its right edge.

Within one process the ids rise strictly, whatever the clock does and however many threads ask. Two processes never
share state: a forked child starts anew, otherwise parent and child would step from the same random number.
"""

import os
import threading
import time
import uuid

_RANDOM_BITS = 74
_RANDOM_LIMIT = 1 << _RANDOM_BITS
_RAND_B_BITS = 62
_RAND_B_MASK = (1 << _RAND_B_BITS) - 1


class Uuid7Source:
    """Draws rising UUIDv7 values: method 2 of RFC 9562 section 6.2, a random number that only steps forward."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._millisecond = -1
        self._random = 0

    def next(self, unix_ms: int) -> uuid.UUID:
        """The next id at this time (milliseconds since 1970). A time before the last one counts as the last one."""
        with self._lock:
            if unix_ms > self._millisecond:
                self._millisecond = unix_ms
                self._random = int.from_bytes(os.urandom(10), "big") % _RANDOM_LIMIT
            else:
                self._step()
            return _assemble(self._millisecond, self._random)

    def _step(self) -> None:
        # A random step keeps the next id unguessable; past the last number the id borrows from the coming millisecond.
        self._random += 1 + int.from_bytes(os.urandom(4), "big")
        if self._random >= _RANDOM_LIMIT:
            self._millisecond += 1
            self._random = int.from_bytes(os.urandom(8), "big")


def _assemble(millisecond: int, random: int) -> uuid.UUID:
    rand_a, rand_b = random >> _RAND_B_BITS, random & _RAND_B_MASK
    return uuid.UUID(int=millisecond << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b)


_source = Uuid7Source()


def _start_anew() -> None:
    global _source
    _source = Uuid7Source()


os.register_at_fork(after_in_child=_start_anew)


def uuid7() -> uuid.UUID:
    """A new id, greater than every id this process drew before."""
    return _source.next(time.time_ns() // 1_000_000)
