"""Named points at which a test kills or freezes this very process: `await reach("relay.after-ack")`.

Owns one environment variable, read once when the module is imported:

    CASESTREAM_FAILPOINT=relay.after-ack            SIGKILL at the first passage
    CASESTREAM_FAILPOINT=relay.after-ack:3          ... at the third
    CASESTREAM_FAILPOINT=relay.before-send:1:stop   SIGSTOP instead, for zombies

Unset, a passage costs one comparison. Never used for anything but tests; it changes no decision.
"""

import os
import signal

VARIABLE = "CASESTREAM_FAILPOINT"
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class Failpoint:
    """One armed point: its name, the passage that fires, and the signal that is sent."""

    def __init__(self, order: str) -> None:
        name, count, mode = [*order.split(":"), "", ""][:3]
        if not name or mode not in ("", *_SIGNALS) or not (count or "1").isdigit():
            raise ValueError(f"{VARIABLE}={order!r}: expected NAME[:PASSAGE[:kill|stop]]")
        self.name = name
        self.remaining = int(count or "1")
        self.signal = _SIGNALS[mode or "kill"]

    def passes(self, name: str) -> bool:
        """Counts a passage; True at the one that fires."""
        if name != self.name:
            return False
        self.remaining -= 1
        return self.remaining == 0


_armed = Failpoint(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


async def reach(name: str) -> None:
    """Passes the point `name`. The process ends (or stops) here when a test armed it."""
    if _armed is not None and _armed.passes(name):
        os.kill(os.getpid(), _armed.signal)
