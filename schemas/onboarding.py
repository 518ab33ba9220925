"""Onboarding commands and events: what work items are coupled with (WI-7). The engine comes in its own room."""

from typing import ClassVar, Literal

from schemas.models import Code, Count, Identifier, Instant, Payload, Version

InstanceStatus = Literal["running", "completed", "canceled"]


class Advance(Payload):
    """Move an instance by one action (WF-13)."""

    TYPE: ClassVar[str] = "Advance"
    instance_id: Identifier
    action: Code
    expected_version: Version | None = None
    requested_by: Identifier | None = None


class _StepOutcome(Payload):
    instance_id: Identifier
    step: Code
    attempt: Version
    effect_id: Identifier


class StepSucceeded(_StepOutcome):
    """A handler outside this process finished its step."""

    TYPE: ClassVar[str] = "StepSucceeded"


class StepFailed(_StepOutcome):
    """A handler outside this process gave up its step."""

    TYPE: ClassVar[str] = "StepFailed"
    code: Code
    retryable: bool = True


class TimerFired(Payload):
    """A durable timer is due; fired for another state entry it is a recorded no-op."""

    TYPE: ClassVar[str] = "TimerFired"
    instance_id: Identifier
    timer: Code
    state_entry: Count


class ReviewDecided(Payload):
    """A person decided a review task (IN-9)."""

    TYPE: ClassVar[str] = "ReviewDecided"
    instance_id: Identifier
    work_item_id: Identifier
    decision: Literal["approve", "reject", "return"]
    decided_by: Identifier


class InstanceStatusChanged(Payload):
    """An instance started, ended or was reopened: what a coupled work item follows, in the item's `cycle`."""

    TYPE: ClassVar[str] = "INSTANCE_STATUS_CHANGED"
    instance_id: Identifier
    work_item_id: Identifier | None = None
    cycle: Count = 0
    status: InstanceStatus
    changed_at: Instant
