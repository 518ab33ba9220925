"""What happens to an onboarding instance: the rows of `workflow_event`, in the documents' spelling (WF-2, S2).

Every event of an instance has the next number; the number is the instance's version and the `ce_sequence` on the topic. Fields
named `data`, `value` and `reason` hold what persons said: decisions never look at them, the store seals them, and replay leaves
them out.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from schemas.flows import Actor
from schemas.models import Code, Count, Identifier, Instant, Payload, TenantId, Text, Version
from schemas.onboarding import Decision, InstanceStatusChanged

# ACTIVE, COMPENSATED and AWAITING_REVIEWS as the documents print them. INCIDENT and COMPENSATION_FAILED wait for an operator.
Status = Literal[
    "ACTIVE",
    "AWAITING_REVIEWS",
    "INCIDENT",
    "COMPENSATING",
    "COMPENSATION_FAILED",
    "COMPLETED",
    "REJECTED",
    "CANCELED",
    "COMPENSATED",
]
Ending = Literal["completed", "rejected", "canceled", "expired"]
# One forward step's compensation: what happens to its UNDO. `again`: its forward call succeeded after all.
Phase = Literal[
    "started", "undoing", "undone", "skipped", "again", "failed", "retried", "marked", "input-proposed", "input-approved"
]
Reason = Annotated[Text, Field(min_length=1, max_length=1_000)]
Data = dict[str, Any]


class _Event(Payload):
    at: Instant


class WorkflowStarted(_Event):
    """An instance began, on a version that it keeps. `codeVersions`: what the code that started it knows of (WF-7)."""

    TYPE: ClassVar[str] = "WORKFLOW_STARTED"
    tenant_id: TenantId
    instance_id: Identifier
    flow: Code
    flow_version: Version
    user_id: Identifier
    by: Identifier
    work_item_id: Identifier | None = None
    cycle: Count = 0
    code_versions: dict[Code, Version] = Field(default_factory=dict)
    data: Data | None = None


class StateEntered(_Event):
    """The instance is in a state; `entry` counts entries. The instants are there only where somebody is waited for."""

    TYPE: ClassVar[str] = "STATE_ENTERED"
    state: Code
    entry: Version
    expires_at: Instant | None = None
    reminders_at: tuple[Instant, ...] = ()


class ActionAccepted(_Event):
    """Somebody, or the engine itself, took an action."""

    TYPE: ClassVar[str] = "ACTION_ACCEPTED"
    action: Code
    actor: Actor
    by: Identifier
    state: Code
    data: Data | None = None


class StepStarted(_Event):
    """An attempt of a step begins; the first one makes the step. `undoes`: the forward step that it compensates.

    `fresh`: an operator gave the step its retries anew. `inputFrom`: the event that holds the input a person edited.
    """

    TYPE: ClassVar[str] = "STEP_STARTED"
    step: Version
    attempt: Version
    state: Code
    action: Code
    handler: Code
    compensation: Code | None = None
    undoes: Version | None = None
    attempt_due: Instant | None = None
    total_due: Instant | None = None
    fresh: bool = False
    input_from: Version | None = None


class _Attempt(_Event):
    step: Version
    attempt: Version


class StepCompleted(_Attempt):
    """The step has its result."""

    TYPE: ClassVar[str] = "STEP_COMPLETED"
    outcome: Code | None = None
    data: Data | None = None


class StepAttemptFailed(_Attempt):
    """The current attempt failed. `unknown`: nobody knows whether the other side did it."""

    TYPE: ClassVar[str] = "STEP_FAILED"
    code: Code
    retryable: bool = True
    unknown: bool = False


class StepTimedOut(_Attempt):
    """The attempt, or the step as a whole, took too long. Its call may still end in any way."""

    TYPE: ClassVar[str] = "STEP_TIMED_OUT"
    limit: Literal["attempt", "total"]


class StepRetryScheduled(_Attempt):
    """`attempt` is the one to come."""

    TYPE: ClassVar[str] = "STEP_RETRY_SCHEDULED"
    due_at: Instant


class LateOutcome(_Attempt):
    """A call ended that nobody waits for any more: of an earlier attempt, or of a step that was given up."""

    TYPE: ClassVar[str] = "STEP_LATE_OUTCOME"
    succeeded: bool
    unknown: bool = False
    data: Data | None = None


class IncidentRaised(_Event):
    """A step gave up and an operator must act."""

    TYPE: ClassVar[str] = "INCIDENT_RAISED"
    step: Version
    code: Code


class IncidentResolved(_Event):
    """An operator lets the step try again."""

    TYPE: ClassVar[str] = "INCIDENT_RESOLVED"
    step: Version
    by: Identifier
    reason: Reason


class ReviewRequested(_Event):
    """A task for people. `step`: the step that gave up; none where the state itself waits for a decision."""

    TYPE: ClassVar[str] = "REVIEW_REQUESTED"
    task: Version
    group: Code
    step: Version | None = None
    editable: tuple[Code, ...] = ()


class ReviewConcluded(_Event):
    """A person decided."""

    TYPE: ClassVar[str] = "REVIEW_DECIDED"
    task: Version
    decision: Decision
    by: Identifier
    data: Data | None = None
    reason: Reason | None = None


class ReminderSent(_Event):
    """Somebody was reminded; `expiresAt` is when the state is looked at again."""

    TYPE: ClassVar[str] = "REMINDER_SENT"
    number: Version
    expires_at: Instant | None = None


class SlaExpired(_Event):
    """Nobody came in time; the instance is cancelled."""

    TYPE: ClassVar[str] = "SLA_EXPIRED"
    state: Code


class CancelRequested(_Event):
    """Somebody cancels the instance."""

    TYPE: ClassVar[str] = "CANCEL_REQUESTED"
    by: Identifier
    reason: Reason


class SagaCompensation(_Event):
    """The way back of an instance (`started`) or of one of its steps (WF-9). `steps`: what is to be undone, in that order."""

    TYPE: ClassVar[str] = "SAGA_COMPENSATION"
    phase: Phase
    ending: Ending | None = None
    steps: tuple[Version, ...] = ()
    undoes: Version | None = None
    step: Version | None = None
    compensation: Code | None = None
    code: Code | None = None
    by: Identifier | None = None
    reason: Reason | None = None
    data: Data | None = None


class WorkflowEnded(_Event):
    """The end: COMPLETED, REJECTED, CANCELED or COMPENSATED."""

    TYPE: ClassVar[str] = "WORKFLOW_ENDED"
    status: Status
    ending: Ending


class WorkflowReopened(_Event):
    """The work item was reopened, and the instance goes on in a new cycle (trap 51)."""

    TYPE: ClassVar[str] = "WORKFLOW_REOPENED"
    cycle: Count


class WorkflowMigrated(_Event):
    """The instance goes on by another version of its flow, in the state that the mapping names."""

    TYPE: ClassVar[str] = "WORKFLOW_MIGRATED"
    flow_version: Version
    state: Code
    by: Identifier
    reason: Reason


class VersionMarker(_Event):
    """Code asked which version of a change this instance follows; the answer holds for ever (WF-7)."""

    TYPE: ClassVar[str] = "VERSION_MARKER"
    change_id: Code
    version: Version


class SideEffectRecorded(_Event):
    """A value that was computed once (WF-10), known by name and occurrence."""

    TYPE: ClassVar[str] = "SIDE_EFFECT_RECORDED"
    name: Code
    occurrence: Count
    value: Any = None


class Recovery(_Event):
    """What a dead process left was taken up again (WF-8)."""

    TYPE: ClassVar[str] = "RECOVERY"
    step: Version | None = None
    attempt: Version | None = None
    cause: Code


WorkflowEvent = (
    WorkflowStarted
    | StateEntered
    | ActionAccepted
    | StepStarted
    | StepCompleted
    | StepAttemptFailed
    | StepTimedOut
    | StepRetryScheduled
    | LateOutcome
    | IncidentRaised
    | IncidentResolved
    | ReviewRequested
    | ReviewConcluded
    | ReminderSent
    | SlaExpired
    | CancelRequested
    | SagaCompensation
    | WorkflowEnded
    | WorkflowReopened
    | WorkflowMigrated
    | VersionMarker
    | SideEffectRecorded
    | Recovery
    | InstanceStatusChanged
)
EVENTS: Mapping[str, type[WorkflowEvent]] = {kind.TYPE: kind for kind in WorkflowEvent.__args__}
