"""W3C trace context at the door: a caller's valid `traceparent` is continued, otherwise a trace begins here."""

import os
import re
from dataclasses import dataclass

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


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
    if (
        match is None
        or match[1].count(b"0") == 32
        or match[2].count(b"0") == 16
        or (given and given[:2] == b"00" and len(given) != 55)
    ):
        return Trace(os.urandom(16).hex(), span, "01")
    return Trace(match[1].decode(), span, match[3].decode())
