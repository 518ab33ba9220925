"""Onboarding commands, and the event that work items are coupled with (WI-7). What happens to an instance: `workflow_events`.

A step is known by its number within the instance, as decimal text; an attempt of it is one call. Fields named `data` and
`value` hold what persons said: decisions never look at them.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from schemas.models import Code, Count, Identifier, Instant, Payload, Text, Version

InstanceStatus = Literal["running", "completed", "canceled"]
Decision = Literal["approve", "reject", "return"]
Reason = Annotated[Text, Field(min_length=1, max_length=1_000)]


class StartInstance(Payload):
    """Begin an instance. The door chooses the version of the flow. `codeVersions`: of each change the newest that it knows."""

    TYPE: ClassVar[str] = "StartInstance"
    instance_id: Identifier
    flow: Code
    flow_version: Version
    user_id: Identifier
    work_item_id: Identifier | None = None
    cycle: Count = 0
    code_versions: dict[Code, Version] = Field(default_factory=dict)
    data: dict[str, Any] | None = None


class Advance(Payload):
    """Move an instance by one action (WF-13)."""

    TYPE: ClassVar[str] = "Advance"
    instance_id: Identifier
    action: Code
    expected_version: Version | None = None
    requested_by: Identifier | None = None
    data: dict[str, Any] | None = None


class _StepOutcome(Payload):
    instance_id: Identifier
    step: Code
    attempt: Version
    effect_id: Identifier


class StepSucceeded(_StepOutcome):
    """A handler finished its step. `outcome` chooses among the transition's outcomes."""

    TYPE: ClassVar[str] = "StepSucceeded"
    outcome: Code | None = None
    data: dict[str, Any] | None = None


class StepFailed(_StepOutcome):
    """A handler gave up its attempt. `unknown`: the other side may have done it. `called` false: nobody was ever called."""

    TYPE: ClassVar[str] = "StepFailed"
    code: Code
    retryable: bool = True
    unknown: bool = False
    called: bool = True


class TimerFired(Payload):
    """A durable timer is due; fired for another state entry it is a recorded no-op."""

    TYPE: ClassVar[str] = "TimerFired"
    instance_id: Identifier
    timer: Code
    state_entry: Count


class ReviewDecided(Payload):
    """A person decided a review task (IN-9). `task`: its number within the instance, which the door reads from the item."""

    TYPE: ClassVar[str] = "ReviewDecided"
    instance_id: Identifier
    work_item_id: Identifier
    decision: Decision
    decided_by: Identifier
    task: Version | None = None
    edited_fields: Annotated[tuple[Code, ...], Field(max_length=100)] = ()
    data: dict[str, Any] | None = None
    reason: Reason | None = None


class CancelInstance(Payload):
    """End an instance; what it did is compensated. `cycle`: of the work item that was cancelled or rejected."""

    TYPE: ClassVar[str] = "CancelInstance"
    instance_id: Identifier
    reason: Reason
    expected_version: Version | None = None
    cycle: Count | None = None


class ReopenInstance(Payload):
    """The work item was reopened (trap 51)."""

    TYPE: ClassVar[str] = "ReopenInstance"
    instance_id: Identifier
    cycle: Version


class CompleteInstance(Payload):
    """A person closed the work item as done: a strongly coupled instance ends with it, completed; nothing is compensated."""

    TYPE: ClassVar[str] = "CompleteInstance"
    instance_id: Identifier
    cycle: Count


class RetryStep(Payload):
    """An operator lets a step that became an incident try again."""

    TYPE: ClassVar[str] = "RetryStep"
    instance_id: Identifier
    reason: Reason
    expected_version: Version | None = None


class RetryCompensation(Payload):
    """An operator lets the compensation that failed try again."""

    TYPE: ClassVar[str] = "RetryCompensation"
    instance_id: Identifier
    reason: Reason
    expected_version: Version | None = None


class MarkCompensated(Payload):
    """An operator undid the step by hand."""

    TYPE: ClassVar[str] = "MarkCompensated"
    instance_id: Identifier
    reason: Reason
    expected_version: Version | None = None


class ProposeCompensationInput(Payload):
    """An operator wants the failed compensation to run with other input; a second one must approve."""

    TYPE: ClassVar[str] = "ProposeCompensationInput"
    instance_id: Identifier
    reason: Reason
    data: dict[str, Any] | None = None


class ApproveCompensationInput(Payload):
    """A second operator approves the proposed input (the number of the event that holds it), and the compensation runs."""

    TYPE: ClassVar[str] = "ApproveCompensationInput"
    instance_id: Identifier
    proposal: Version


class MigrateInstance(Payload):
    """Go on by another version of the flow. `states`: where the old state's name is another one in the new version."""

    TYPE: ClassVar[str] = "MigrateInstance"
    instance_id: Identifier
    flow_version: Version
    states: dict[Code, Code] = Field(default_factory=dict)
    reason: Reason


class RecordVersion(Payload):
    """`get_version(change_id, min, max)` of a running step (WF-7)."""

    TYPE: ClassVar[str] = "RecordVersion"
    instance_id: Identifier
    change_id: Code
    lowest: Version
    highest: Version


class RecordSideEffect(Payload):
    """`side_effect(name, fn)` of a running step, before its value is used (WF-10)."""

    TYPE: ClassVar[str] = "RecordSideEffect"
    instance_id: Identifier
    name: Code
    occurrence: Count
    value: Any = None


class Recover(Payload):
    """A scan found the instance, or one call of it, left behind by a dead process (WF-8)."""

    TYPE: ClassVar[str] = "Recover"
    instance_id: Identifier
    cause: Code
    step: Version | None = None
    attempt: Version | None = None


class InstanceStatusChanged(Payload):
    """An instance started, ended or was reopened: what a coupled work item follows, in the item's `cycle`."""

    TYPE: ClassVar[str] = "INSTANCE_STATUS_CHANGED"
    instance_id: Identifier
    work_item_id: Identifier | None = None
    cycle: Count = 0
    status: InstanceStatus
    changed_at: Instant


class WorkflowEventTold(Payload):
    """One event of an instance as others hear of it: ids, codes and times; what a person said stays in the database."""

    TYPE: ClassVar[str] = "WORKFLOW_EVENT"
    instance_id: Identifier
    event_type: Code
    flow: Code
    at: Instant
    state: Code | None = None
    action: Code | None = None
    step: Version | None = None
    attempt: Version | None = None
    phase: Code | None = None
    code: Code | None = None


Command = (
    StartInstance
    | Advance
    | StepSucceeded
    | StepFailed
    | TimerFired
    | ReviewDecided
    | CancelInstance
    | ReopenInstance
    | CompleteInstance
    | RetryStep
    | RetryCompensation
    | MarkCompensated
    | ProposeCompensationInput
    | ApproveCompensationInput
    | MigrateInstance
    | RecordVersion
    | RecordSideEffect
    | Recover
)
COMMANDS: dict[str, type[Command]] = {kind.TYPE: kind for kind in Command.__args__}
