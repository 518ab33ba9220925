"""Which skips are shown: of the many rules that look at an event and do not match, a few are logged with what they saw.

A tenant's minute is cut into as many windows as it may have samples, and each window has one. A sample's id is computed from
tenant and window, so its primary key keeps the limit over all members, batches that are repeated included. It is never the id
of a run: a rule that is seen to skip an event may still run for it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from domain.rules.matching import Occasion, RuleBook, SkipReason, skipped_of
from domain.rules.starting import Match
from domain.rules.tracing import Trace

# Never change it without the windows: old samples are found by ids computed from it.
_NAMESPACE = UUID("0b4b1c3e-5b1e-5f6a-9a64-3f0f3a1b7c55")
_SHOWABLE = frozenset({"conditions", "older-event"})


@dataclass(frozen=True, slots=True)
class Sample:
    """A skip to be shown. `cause`: one of few words, for a metric; `why`: the same with its place in the rule."""

    id: UUID
    match: Match
    cause: str
    why: str
    at: datetime


class SkipSamples:
    """The windows of one process. It looks at nothing while a tenant's window has its sample."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._last: dict[str, int] = {}

    def choose(self, book: RuleBook, told: Iterable[tuple[Occasion, Mapping[SkipReason, int]]], now: datetime) -> list[Sample]:
        """At most one per tenant, of these occasions and the skips that were counted for them."""
        window = int(now.timestamp() * self._per_minute // 60)
        chosen = []
        for occasion, counted in told:
            tenant = occasion.change.tenant_id
            if not self._per_minute or _SHOWABLE.isdisjoint(counted) or self._last.get(tenant) == window:
                continue
            if skipped := skipped_of(book, occasion):
                self._last[tenant] = window
                # Another rule each time, where several skip.
                match, reason = skipped[window % len(skipped)]
                chosen.append(_sample(match, reason, uuid5(_NAMESPACE, f"{tenant}|{self._per_minute}|{window}"), now))
        return chosen


def _sample(match: Match, reason: SkipReason, sample_id: UUID, now: datetime) -> Sample:
    if reason == "older-event":
        cause = why = str(reason)
    else:
        cause, why = _causes(match.rule.trace(match.change, match.sent_at))
    return Sample(sample_id, match, cause, why, now)


def _causes(trace: Trace) -> tuple[str, str]:
    failing = next((one for one in trace.conditions if one.decided and not one.met), None)
    if failing is None or trace.held_before:
        return "held-before", "held-before"
    operator = str(failing.leaf.operator)
    return operator, f"{failing.leaf.pointer} {operator}: {failing.why}"
