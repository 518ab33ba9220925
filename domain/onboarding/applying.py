"""What each event changes in an instance that is one's own; `evolving` makes values of it.

    RUNNING --failed, retries left--> RETRYING --its time--> RUNNING (next attempt)
       |  \\--gave up--> STALLED (review or incident) --decided--> ABANDONED or RUNNING
       `--succeeded--> DONE

A call that nobody waits for any more stays in `open` until it has ended: an undo must not overtake it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from domain.onboarding.instance import FINAL, Instance, Proposal, ReviewTask, Step, effect_key
from schemas.onboarding import InstanceStatusChanged
from schemas.workflow_events import (
    ActionAccepted,
    CancelRequested,
    IncidentRaised,
    IncidentResolved,
    LateOutcome,
    Recovery,
    ReminderSent,
    ReviewConcluded,
    ReviewRequested,
    SagaCompensation,
    SideEffectRecorded,
    SlaExpired,
    StateEntered,
    StepAttemptFailed,
    StepCompleted,
    StepRetryScheduled,
    StepStarted,
    StepTimedOut,
    VersionMarker,
    WorkflowEnded,
    WorkflowEvent,
    WorkflowMigrated,
    WorkflowReopened,
    WorkflowStarted,
)


class Unfoldable(Exception):
    """The history begins twice or not at all, or tells of a step that is not there: quarantine the instance."""


def _started_twice(instance: Instance, event: WorkflowStarted) -> None:
    raise Unfoldable("the instance begins twice")


def _nothing(instance: Instance, event: Any) -> None:
    """The event is for readers of the history; the next one says what changes."""


def _state_entered(instance: Instance, event: StateEntered) -> None:
    _let_go(instance)
    instance.state, instance.entry, instance.entered_at = event.state, event.entry, event.at
    instance.expires_at, instance.reminders_at, instance.reminders = event.expires_at, event.reminders_at, 0


def _step_started(instance: Instance, event: StepStarted) -> None:
    number, before = event.step, instance.steps.get(event.step)
    if before is not None:
        instance.steps[number] = _next_attempt(before, event)
        return
    instance.step_count, instance.current = max(instance.step_count, number), number
    instance.steps[number] = Step(
        number=number,
        state=event.state,
        action=event.action,
        handler=event.handler,
        attempt=event.attempt,
        began_at=event.at,
        open=frozenset((event.attempt,)),
        attempt_due=event.attempt_due,
        total_due=event.total_due,
        compensation=event.compensation,
        undoes=event.undoes,
    )


def _next_attempt(step: Step, event: StepStarted) -> Step:
    return replace(
        step,
        attempt=event.attempt,
        status="running",
        open=step.open | {event.attempt},
        spent=event.attempt - 1 if event.fresh else step.spent,
        attempt_due=event.attempt_due,
        total_due=event.total_due,
        retry_due=None,
        input_from=event.input_from if event.input_from is not None else step.input_from,
    )


def _step_completed(instance: Instance, event: StepCompleted) -> None:
    step = instance.steps[event.step]
    instance.current, instance.review = None, None
    if instance.status in ("INCIDENT", "AWAITING_REVIEWS"):
        instance.status = "ACTIVE"
    elif instance.status == "COMPENSATION_FAILED":
        instance.status, instance.proposal = "COMPENSATING", None
    still_open = step.open - {event.attempt}
    if step.compensation is None and not still_open:
        del instance.steps[step.number]
    else:
        instance.steps[step.number] = replace(
            step,
            status="done",
            open=still_open,
            succeeded=step.succeeded | {event.attempt},
            possible=True,
            attempt_due=None,
            total_due=None,
            retry_due=None,
        )
    if step.undoes is not None:
        _undone(instance, step.undoes)


def _attempt_failed(instance: Instance, event: StepAttemptFailed) -> None:
    step = instance.steps[event.step]
    instance.steps[event.step] = replace(
        step,
        status="stalled",
        open=step.open - {event.attempt},
        possible=step.possible or event.unknown,
        attempt_due=None,
    )


def _timed_out(instance: Instance, event: StepTimedOut) -> None:
    instance.steps[event.step] = replace(instance.steps[event.step], status="stalled", attempt_due=None, retry_due=None)


def _retry_scheduled(instance: Instance, event: StepRetryScheduled) -> None:
    instance.steps[event.step] = replace(instance.steps[event.step], status="retrying", retry_due=event.due_at)


def _late_outcome(instance: Instance, event: LateOutcome) -> None:
    step = instance.steps[event.step]
    step = replace(step, open=step.open - {event.attempt}, possible=step.possible or event.succeeded or event.unknown)
    if event.succeeded:
        under_way = instance.step
        undoing = under_way is not None and under_way.undoes == step.number
        step = replace(step, succeeded=step.succeeded | {event.attempt}, again=step.again or undoing)
    _keep(instance, step)


def _incident_raised(instance: Instance, event: IncidentRaised) -> None:
    instance.status = "INCIDENT"
    instance.steps[event.step] = replace(instance.steps[event.step], total_due=None)


def _incident_resolved(instance: Instance, event: IncidentResolved) -> None:
    instance.status = "ACTIVE"


def _review_requested(instance: Instance, event: ReviewRequested) -> None:
    instance.status, instance.tasks = "AWAITING_REVIEWS", event.task
    instance.review = ReviewTask(event.task, event.group, event.step, event.editable)
    if event.step is not None:
        instance.steps[event.step] = replace(instance.steps[event.step], total_due=None)


def _review_concluded(instance: Instance, event: ReviewConcluded) -> None:
    step = instance.step
    instance.status, instance.review = "ACTIVE", None
    if step is not None and event.decision == "approve":
        # A person may have done by hand what automation could not.
        instance.steps[step.number] = replace(step, possible=True)
    _let_go(instance)


def _reminder_sent(instance: Instance, event: ReminderSent) -> None:
    instance.reminders, instance.expires_at = event.number, event.expires_at


def _compensation(instance: Instance, event: SagaCompensation) -> None:
    if event.phase == "started":
        instance.status, instance.ending, instance.review = "COMPENSATING", event.ending, None
        _let_go(instance)
    elif event.phase == "failed":
        instance.status = "COMPENSATION_FAILED"
    elif event.phase == "retried":
        instance.status, instance.proposal = "COMPENSATING", None
    elif event.phase == "input-proposed":
        instance.proposal = Proposal(instance.version, event.by or "")
    elif event.phase == "marked":
        instance.status, instance.proposal = "COMPENSATING", None
        _let_go(instance)
        _undone(instance, event.undoes or 0)
    elif event.phase == "input-approved":
        instance.status, instance.proposal = "COMPENSATING", None
    elif event.phase == "again":
        if instance.status in FINAL:
            instance.status, instance.ended_at = "COMPENSATING", None
        number = event.undoes or 0
        instance.steps[number] = replace(instance.steps[number], undone=False)


def _ended(instance: Instance, event: WorkflowEnded) -> None:
    instance.status, instance.ending, instance.ended_at = event.status, event.ending, event.at
    instance.review = None
    _let_go(instance)


def _reopened(instance: Instance, event: WorkflowReopened) -> None:
    instance.cycle = event.cycle
    if instance.ended_at is not None:
        instance.status, instance.ending, instance.ended_at = "ACTIVE", None, None


def _migrated(instance: Instance, event: WorkflowMigrated) -> None:
    instance.flow_version, instance.review, instance.status = event.flow_version, None, "ACTIVE"


def _version_marked(instance: Instance, event: VersionMarker) -> None:
    instance.versions[event.change_id] = event.version


def _side_effect(instance: Instance, event: SideEffectRecorded) -> None:
    instance.side_effects[effect_key(event.name, event.occurrence)] = instance.version


def _told(instance: Instance, event: InstanceStatusChanged) -> None:
    instance.told = event.status


def _let_go(instance: Instance) -> None:
    """Nobody waits for the step under way any more; its calls may still end."""
    step = instance.step
    instance.current = None
    if step is not None:
        _keep(instance, replace(step, status="abandoned", attempt_due=None, total_due=None, retry_due=None))


def _undone(instance: Instance, number: int) -> None:
    step = instance.steps[number]
    instance.steps[number] = replace(step, undone=not step.again, again=False)


def _keep(instance: Instance, step: Step) -> None:
    """A step that can neither be undone nor still be told about is forgotten, so that a loop of steps costs nothing."""
    if step.compensation is not None or step.open or step.number == instance.current:
        instance.steps[step.number] = step
    else:
        instance.steps.pop(step.number, None)


APPLY: Mapping[type[WorkflowEvent], Callable[[Instance, Any], None]] = {
    WorkflowStarted: _started_twice,
    StateEntered: _state_entered,
    ActionAccepted: _nothing,
    StepStarted: _step_started,
    StepCompleted: _step_completed,
    StepAttemptFailed: _attempt_failed,
    StepTimedOut: _timed_out,
    StepRetryScheduled: _retry_scheduled,
    LateOutcome: _late_outcome,
    IncidentRaised: _incident_raised,
    IncidentResolved: _incident_resolved,
    ReviewRequested: _review_requested,
    ReviewConcluded: _review_concluded,
    ReminderSent: _reminder_sent,
    SlaExpired: _nothing,
    CancelRequested: _nothing,
    SagaCompensation: _compensation,
    WorkflowEnded: _ended,
    WorkflowReopened: _reopened,
    WorkflowMigrated: _migrated,
    VersionMarker: _version_marked,
    SideEffectRecorded: _side_effect,
    Recovery: _nothing,
    InstanceStatusChanged: _told,
}
