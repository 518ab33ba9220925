"""What follows from an answer: pure, with time and jitter as arguments.

A call that is not answered for good is made again while the policy allows it, later and later or at even pace; after that the
effect has failed and a person is asked. A call whose worker died says nothing about the other side: it is made again under
the same id and uses up no retry, but not for ever, since it may be what kills the workers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from domain.effects.answers import Answer, Done, Refused, Retry, RetryPolicy

# The longest pause between two calls, and the most calls of one effect that may die with their worker.
MAX_DELAY_SECONDS = 6 * 3600.0
LOST_CALLS = 20
ERASED, LOST = "erased", "worker-lost"

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")


@dataclass(frozen=True, slots=True)
class Finished:
    """The effect has its outcome. `code` is '' when it succeeded."""

    succeeded: bool
    code: str = ""
    detail: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """The same call once more, after so many seconds; until then it keeps its place in its order key."""

    after_seconds: float
    code: str


Verdict = Finished | Again


def judge(answer: Answer, retry: RetryPolicy, failures: int, jitter: float) -> Verdict:
    """`failures`: earlier answers that were "not now"; `jitter`: from 0 to 1, drawn by the caller."""
    match answer:
        case Done(detail):
            return Finished(True, "", detail)
        case Refused(reason, detail):
            return Finished(False, code_of(reason), detail)
        case Retry(reason, _, detail) if failures >= retry.retries:
            return Finished(False, code_of(reason), detail)
        case Retry(reason, asked, _):
            return Again(delay_before(retry, failures + 1, asked, jitter), code_of(reason))
        case _:
            assert_never(answer)


def delay_before(retry: RetryPolicy, number: int, asked: float | None, jitter: float) -> float:
    """Seconds before retry `number`, from 1. Jitter makes it up to a fifth longer; the other side's wish is a lower bound."""
    # Beyond 2**32 every delay is the longest one; the power itself would leave the range of floats.
    growth = 2.0 ** min(number - 1, 32) if retry.backoff == "exponential" else 1.0
    planned = min(max(retry.delay_seconds, 0.0) * growth, MAX_DELAY_SECONDS) * (1.0 + 0.2 * jitter)
    return max(planned, min(max(asked or 0.0, 0.0), MAX_DELAY_SECONDS))


def is_lost(attempt: int, failures: int) -> bool:
    """Whether so many calls of this effect ended without an answer that it is given up. `attempt` counts the one to come."""
    return attempt - failures > LOST_CALLS


def code_of(reason: str) -> str:
    """A reason as a code: senders may quote the other side, and a code goes to events, incidents and logs."""
    return reason if _CODE.fullmatch(reason) else "unclear"


def fingerprint_of(kind: str, endpoint: str, code: str) -> str:
    """What failed effects of one cause have in common."""
    return f"{kind}|{endpoint}|{code}"
