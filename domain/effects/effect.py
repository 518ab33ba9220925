"""What an effect is: values that owners plan, workers call and owners hear of. No I/O.

An effect belongs to an owner (a rule's run, later an onboarding instance) and has an index there. Its id is computed from
them, so planning it twice plans it once, and whoever is called sees the same id however often the call is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from uuid import UUID, uuid5

from domain.effects.answers import Answer, Done, Refused, Retry, RetryPolicy

__all__ = [
    "Answer",
    "Call",
    "ClaimedEffect",
    "Done",
    "NewEffect",
    "Outcome",
    "Refused",
    "Result",
    "Retry",
    "RetryPolicy",
    "Sender",
    "effect_id",
]

# Never change it: the ids of effects that are already known to receivers are computed from it.
_NAMESPACE = UUID("0f0c3a52-6a57-5b0e-9d5e-7c1f3c1f2b11")

Result = Literal["succeeded", "failed", "skipped", "canceled"]


def effect_id(owner_kind: str, owner_id: str, index: int, occurrence: str) -> UUID:
    """The id of an owner's effect. `owner_id` is unique among all tenants or the caller puts the tenant into it."""
    return uuid5(_NAMESPACE, f"{len(owner_kind)}:{owner_kind}|{len(owner_id)}:{owner_id}|{index}|{occurrence}")


@dataclass(frozen=True, slots=True)
class NewEffect:
    """An effect to plan. `waiting`: it becomes due only when its owner promotes it, `delay_seconds` after that.

    `order_key`: calls of one key are made in the order in which they fell due. `endpoint`: whom a call reaches (the host of
    a webhook, the mail relay); its limits and its circuit go by it. Where nobody is named it is the kind.
    """

    tenant_id: str
    id: UUID
    owner_kind: str
    owner_id: str
    index: int
    occurrence: str
    kind: str
    request: Mapping[str, Any]
    order_key: str | None = None
    subject_id: str | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    is_async: bool = False
    delay_seconds: float = 0.0
    waiting: bool = False
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an effect ended. `code` is a short word that tells causes apart; `detail` may hold a person's data."""

    effect_id: UUID
    tenant_id: str
    owner_kind: str
    owner_id: str
    index: int
    result: Result
    code: str = ""
    detail: Mapping[str, Any] | None = None
    occurrence: str = ""


@dataclass(frozen=True, slots=True)
class ClaimedEffect:
    """An effect that a worker holds. `request` is None once its subject was erased. `term` fences what the holder writes.

    `known`: what its owner knew of itself when it planned the effect as leased by its holder; nobody else looks into it.
    """

    tenant_id: str
    id: UUID
    owner_kind: str
    owner_id: str
    index: int
    occurrence: str
    kind: str
    request: Mapping[str, Any] | None
    order_key: str | None
    endpoint: str
    subject_id: str | None
    retry: RetryPolicy
    is_async: bool
    attempt: int
    failures: int
    term: int
    known: object = field(default=None, repr=False, compare=False)

    def outcome(self, result: Result, code: str = "", detail: Mapping[str, Any] | None = None) -> Outcome:
        """How this effect ended."""
        return Outcome(
            self.id, self.tenant_id, self.owner_kind, self.owner_id, self.index, result, code, detail, self.occurrence
        )


@dataclass(frozen=True, slots=True)
class Call:
    """What a sender gets. `effect_id` goes with the call as its idempotency id; `attempt` counts calls, from 1."""

    effect_id: UUID
    tenant_id: str
    attempt: int
    request: Mapping[str, Any]
    key_of_endpoint: str


class Sender(Protocol):
    """Makes the calls of one kind, outside any transaction, many at once. What it raises counts as `Retry`."""

    kind: str

    async def send(self, call: Call) -> Answer: ...
