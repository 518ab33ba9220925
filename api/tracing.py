"""W3C trace context at the door: a caller's valid `traceparent` is continued, otherwise a trace begins here."""

import os
import re
from dataclasses import dataclass

# Version 00 ends with the flags; a later version may carry more, and ff is none.
_TRACEPARENT = re.compile(rb"(?:00-(?=.{52}$)|(?!00|ff)[0-9a-f]{2}-)([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


@dataclass(frozen=True, slots=True)
class Trace:
    """The request's own span in its trace; `traceparent` is what events carry on."""

    trace_id: str
    span_id: str
    flags: str

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def begin(given: bytes | None) -> Trace:
    """The span of a request with this header."""
    match = _TRACEPARENT.fullmatch(given) if given else None
    span = os.urandom(8).hex()
    if match is None or not match[1].strip(b"0") or not match[2].strip(b"0"):
        return Trace(os.urandom(16).hex(), span, "01")
    return Trace(match[1].decode(), span, match[3].decode())
