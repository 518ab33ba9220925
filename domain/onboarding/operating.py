"""What operators do: let a step or a compensation try again, mark one as done, change its input under four eyes, migrate.

Nothing here undoes a check: an operator's order goes the same way as everybody's, and the history says who gave it and why.
"""

from domain.onboarding import refusals
from domain.onboarding.attempts import begin_attempt
from domain.onboarding.flow import Flow, FlowKey
from domain.onboarding.instance import Instance
from domain.onboarding.moving import enter
from domain.onboarding.saga import go_on, owed
from domain.onboarding.turn import Outcome, Turn, Unchanged
from schemas.errors import Rejected
from schemas.onboarding import (
    ApproveCompensationInput,
    MarkCompensated,
    MigrateInstance,
    ProposeCompensationInput,
    RetryCompensation,
    RetryStep,
)
from schemas.workflow_events import IncidentResolved, SagaCompensation, Status, WorkflowMigrated


def retry_step(turn: Turn, command: RetryStep) -> Outcome:
    """A step that became an incident tries again, with all its retries."""
    refusal = _refusal(turn, "INCIDENT", command.expected_version)
    step = turn.instance.step
    if refusal is not None or step is None:
        return refusal or refusals.nothing_failed(turn.instance, "INCIDENT")
    turn.tell(IncidentResolved(at=turn.now, step=step.number, by=turn.context.by, reason=command.reason))
    begin_attempt(turn, turn.instance.steps[step.number], fresh=True)
    return turn.decided()


def retry_compensation(turn: Turn, command: RetryCompensation) -> Outcome:
    """The compensation that failed tries again, with all its retries."""
    return _refusal(turn, "COMPENSATION_FAILED", command.expected_version) or _rerun(turn, "retried", command.reason)


def mark_compensated(turn: Turn, command: MarkCompensated) -> Outcome:
    """An operator undid the step by hand, and the way back goes on."""
    refusal = _refusal(turn, "COMPENSATION_FAILED", command.expected_version)
    if refusal is not None:
        return refusal
    turn.tell(_about(turn, phase="marked", by=turn.context.by, reason=command.reason))
    go_on(turn)
    return turn.decided()


def propose_input(turn: Turn, command: ProposeCompensationInput) -> Outcome:
    """Other input for the compensation that failed. A later proposal replaces an earlier one."""
    refusal = _refusal(turn, "COMPENSATION_FAILED", None)
    if refusal is not None:
        return refusal
    turn.tell(_about(turn, phase="input-proposed", by=turn.context.by, reason=command.reason, data=command.data))
    return turn.decided()


def approve_input(turn: Turn, command: ApproveCompensationInput) -> Outcome:
    """A second operator approves, and the compensation runs with the proposed input."""
    refusal = _refusal(turn, "COMPENSATION_FAILED", None)
    if refusal is not None:
        return refusal
    proposal = turn.instance.proposal
    if proposal is None or proposal.number != command.proposal:
        return refusals.no_proposal(turn.instance, command.proposal)
    if proposal.by == turn.context.by:
        return refusals.four_eyes(turn.instance)
    return _rerun(turn, "input-approved", None, proposal.number)


def migrate(turn: Turn, command: MigrateInstance) -> Outcome:
    """Go on by another version, between two steps. The state is entered anew, so its times begin again."""
    if "OPERATOR" not in turn.context.actors:
        return refusals.not_permitted(turn.instance, "migrate an instance")
    instance = turn.instance
    target = turn.flows.get(FlowKey(instance.flow, command.flow_version))
    if instance.flow_version == command.flow_version:
        return Unchanged(instance, f"the instance follows version {command.flow_version} already")
    if target is None:
        return refusals.cannot_migrate(instance, f"there is no version {command.flow_version}")
    if not instance.waits:
        return refusals.cannot_migrate(instance, f"it is {instance.status}, or a step is under way")
    state = command.states.get(instance.state, instance.state)
    if (obstacle := obstacle_to(turn.flow, target, instance, state)) is not None:
        return refusals.cannot_migrate(instance, obstacle)
    turn.tell(
        WorkflowMigrated(at=turn.now, flow_version=command.flow_version, state=state, by=turn.context.by, reason=command.reason)
    )
    turn.flow = target
    enter(turn, state)
    return turn.decided()


def obstacle_to(flow: Flow, target: Flow, instance: Instance, state: str) -> str | None:
    """Why an instance that waits could not go on in this state of another version; None: it could."""
    version = f"version {target.definition.version}"
    if state not in target.states:
        return f"{version} has no state {state}"
    if target.states[state].end is not None:
        return f"{state} is an end in {version}"
    waited, offered = flow.actors_at(instance.state), target.actors_at(state)
    if waited.isdisjoint(offered):
        theirs, ours = ", ".join(sorted(waited)), ", ".join(sorted(offered))
        return f"{instance.state} waits for {theirs}, and {state} in {version} for {ours}"
    lost = sorted({str(step.compensation) for step in owed(instance) if step.compensation not in target.handlers})
    return f"{version} does not declare {', '.join(lost)}, which would undo what was done" if lost else None


def stale(instance: Instance, expected: int | None) -> Rejected | None:
    """The caller saw another version than there is now (IN-8, trap 77)."""
    return refusals.stale(instance, expected) if expected is not None and expected != instance.version else None


def _refusal(turn: Turn, status: Status, expected: int | None) -> Rejected | None:
    if "OPERATOR" not in turn.context.actors:
        return refusals.not_permitted(turn.instance, "operate an instance")
    if (refusal := stale(turn.instance, expected)) is not None:
        return refusal
    return None if turn.instance.status == status else refusals.nothing_failed(turn.instance, status)


def _rerun(turn: Turn, phase: str, reason: str | None, input_from: int | None = None) -> Outcome:
    turn.tell(_about(turn, phase=phase, by=turn.context.by, reason=reason))
    step = turn.instance.step
    assert step is not None, "a compensation that failed is the step under way"
    begin_attempt(turn, step, fresh=True, input_from=input_from)
    return turn.decided()


def _about(turn: Turn, **said: object) -> SagaCompensation:
    undo = turn.instance.step
    assert undo is not None, "a compensation that failed is the step under way"
    forward = turn.instance.steps[undo.undoes or 0]
    common = {"at": turn.now, "undoes": forward.number, "step": undo.number, "compensation": forward.compensation}
    return SagaCompensation.model_validate({**common, **said})
