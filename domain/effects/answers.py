"""What senders answer, and how often a call is made again: values that decisions know. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Backoff = Literal["fixed", "exponential"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often an unclear or refused-for-now call is made again, and after how long."""

    retries: int = 0
    delay_seconds: float = 60.0
    backoff: Backoff = "exponential"


@dataclass(frozen=True, slots=True)
class Done:
    """The other side has it."""

    detail: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now, or nobody knows. `reason` is a code; `after_seconds` is the earliest that the other side wants it again."""

    reason: str
    after_seconds: float | None = None
    detail: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Never like this: trying again cannot help. `reason` is a code."""

    reason: str
    detail: Mapping[str, Any] | None = None


Answer = Done | Retry | Refused
