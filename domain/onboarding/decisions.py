"""The decider of onboarding: `decide(flows, instance, command, context)`. Pure; with `evolve` and no instance it is the triple.

| command | where |
|---|---|
| StartInstance, Advance, CancelInstance, Recover | here |
| StepSucceeded, StepFailed | stepping |
| TimerFired | timing |
| ReviewDecided | reviewing |
| RetryStep, RetryCompensation, MarkCompensated, ProposeCompensationInput, ApproveCompensationInput | operating |
| MigrateInstance | operating |
| ReopenInstance, CompleteInstance | following |
| RecordVersion, RecordSideEffect | marking |

A duplicate or a late message is `Unchanged`; a caller that saw another version, or wants what is not allowed, is `Rejected`.
"""

from collections.abc import Callable
from typing import Any

from domain.onboarding import following, marking, operating, refusals, reviewing, stepping, timing
from domain.onboarding.flow import FlowKey, Flows
from domain.onboarding.instance import FINAL, UNDOING, Instance
from domain.onboarding.moving import enter, take
from domain.onboarding.orders import MISSING, wanted
from domain.onboarding.saga import begin_ending, tell_status
from domain.onboarding.turn import Context, Decided, Outcome, Turn, Unchanged
from schemas.errors import Rejected
from schemas.flows import Actor, Transition
from schemas.onboarding import (
    Advance,
    ApproveCompensationInput,
    CancelInstance,
    Command,
    CompleteInstance,
    MarkCompensated,
    MigrateInstance,
    ProposeCompensationInput,
    RecordSideEffect,
    RecordVersion,
    Recover,
    ReopenInstance,
    RetryCompensation,
    RetryStep,
    ReviewDecided,
    StartInstance,
    StepFailed,
    StepSucceeded,
    TimerFired,
)
from schemas.workflow_events import ActionAccepted, CancelRequested, Recovery, WorkflowStarted


def decide(flows: Flows, instance: Instance | None, command: Command, context: Context) -> Outcome:
    """What a command does. `flows` holds the version that the instance follows, and for a migration the other one.

    Raises KeyError when the instance's version is not there: it must never be removed while instances follow it.
    """
    if isinstance(command, StartInstance):
        return _start(flows, instance, command, context)
    if instance is None:
        return refusals.not_found(command.instance_id)
    turn = Turn.on(flows, flows[FlowKey(instance.flow, instance.flow_version)], instance, context)
    return _RULES[type(command)](turn, command)


def actors_of(instance: Instance, context: Context) -> frozenset[Actor]:
    """A user is one only of his own instances (trap 72, IN-14)."""
    return context.actors if context.by == instance.user_id else context.actors - {"USER"}


def _start(flows: Flows, instance: Instance | None, command: StartInstance, context: Context) -> Outcome:
    flow = flows.get(FlowKey(command.flow, command.flow_version))
    if flow is None:
        return refusals.unknown_flow(command.flow, command.flow_version)
    if context.actors.isdisjoint({"OPERATOR", "SYSTEM"}):
        if "USER" not in context.actors:
            return refusals.not_permitted(None, "start an instance")
        if command.user_id != context.by:
            return refusals.not_yours(command.user_id, context.by)
    if instance is not None:
        same = (instance.flow, instance.user_id, instance.work_item_id) == (command.flow, command.user_id, command.work_item_id)
        return Unchanged(instance, "the instance was started before") if same else refusals.exists(instance)
    turn = Turn.first(flows, flow, _started(command, context), context)
    tell_status(turn, "ACTIVE")
    enter(turn, flow.definition.initial)
    return turn.decided()


def _started(command: StartInstance, context: Context) -> WorkflowStarted:
    return WorkflowStarted(
        at=context.now,
        tenant_id=context.tenant_id,
        instance_id=command.instance_id,
        flow=command.flow,
        flow_version=command.flow_version,
        user_id=command.user_id,
        by=context.by,
        work_item_id=command.work_item_id,
        cycle=command.cycle,
        code_versions=command.code_versions,
        data=command.data,
    )


def _advance(turn: Turn, command: Advance) -> Outcome:
    instance, flow = turn.instance, turn.flow
    move = flow.moves.get((instance.state, command.action))
    refusal = _may_not_advance(turn, command, move)
    if refusal is not None:
        return refusal
    assert move is not None, "an unknown action was refused"
    actors = actors_of(instance, turn.context)
    actor = next(actor for actor in move.actors if actor in actors)
    turn.tell(
        ActionAccepted(
            at=turn.now, action=move.action, actor=actor, by=turn.context.by, state=instance.state, data=command.data
        )
    )
    take(turn, move)
    return turn.decided()


def _may_not_advance(turn: Turn, command: Advance, move: Transition | None) -> Rejected | None:
    instance, flow = turn.instance, turn.flow
    actors = actors_of(instance, turn.context)
    if not actors:
        # Whose it is, is nobody else's business.
        return refusals.not_found(instance.id)
    if (stale := operating.stale(instance, command.expected_version)) is not None:
        return stale
    if instance.status in FINAL or instance.status in UNDOING:
        return refusals.ended(instance)
    if not instance.waits:
        return refusals.busy(instance, flow, command.action)
    if move is None:
        return refusals.invalid_transition(instance, flow, command.action)
    if actors.isdisjoint(move.actors) or instance.review is not None:
        return refusals.wrong_actor(instance, flow, command.action, move.actors, actors)
    return None


def _cancel(turn: Turn, command: CancelInstance) -> Outcome:
    instance = turn.instance
    actors = actors_of(instance, turn.context)
    if not actors:
        return refusals.not_found(instance.id)
    if "SYSTEM" not in actors and actors.isdisjoint(turn.flow.definition.cancel_by):
        return refusals.not_permitted(instance, "cancel an instance")
    if command.cycle is not None and command.cycle < instance.cycle:
        return Unchanged(instance, f"cycle {command.cycle} is over, the instance is in cycle {instance.cycle}")
    if instance.status in UNDOING or (instance.status in FINAL and instance.status != "COMPLETED"):
        return Unchanged(instance, f"the instance is {instance.status} already")
    if (refusal := operating.stale(instance, command.expected_version)) is not None:
        return refusal
    if instance.status == "COMPLETED":
        return refusals.ended(instance)
    turn.tell(CancelRequested(at=turn.now, by=turn.context.by, reason=command.reason))
    begin_ending(turn, "canceled")
    return turn.decided()


def _recover(turn: Turn, command: Recover) -> Outcome:
    """Order again what is wanted: what is there already, stays. Who waits for a person or a time is not stuck (trap 67).

    Of what was seen to be missing, whoever saw it holds the instance: that may be anything that is wanted.
    """
    instance, step = turn.instance, turn.instance.step
    if "SYSTEM" not in turn.context.actors:
        return refusals.not_permitted(instance, "recover an instance")
    if command.cause in MISSING:
        return _order_again(turn, command)
    if step is None or step.status != "running" or instance.status in ("INCIDENT", "COMPENSATION_FAILED"):
        return Unchanged(instance, f"the instance is {instance.status} and runs nothing: it is not stuck")
    if (command.step, command.attempt) not in ((None, None), (step.number, step.attempt)):
        return Unchanged(instance, f"nothing waits for attempt {command.attempt} of step {command.step}")
    return _order_again(turn, command)


def _order_again(turn: Turn, command: Recover) -> Outcome:
    standing, step = wanted(turn.instance), turn.instance.step
    if not standing:
        return Unchanged(turn.instance, f"the instance is {turn.instance.status} and nothing is wanted: it is not stuck")
    number, attempt = (step.number, step.attempt) if step is not None else (None, None)
    turn.tell(Recovery(at=turn.now, step=number, attempt=attempt, cause=command.cause))
    return Decided(tuple(turn.events), turn.instance, tuple(standing.values()))


_RULES: dict[type[Command], Callable[[Turn, Any], Outcome]] = {
    Advance: _advance,
    StepSucceeded: stepping.succeeded,
    StepFailed: stepping.failed,
    TimerFired: timing.fired,
    ReviewDecided: reviewing.decided,
    CancelInstance: _cancel,
    Recover: _recover,
    RetryStep: operating.retry_step,
    RetryCompensation: operating.retry_compensation,
    MarkCompensated: operating.mark_compensated,
    ProposeCompensationInput: operating.propose_input,
    ApproveCompensationInput: operating.approve_input,
    MigrateInstance: operating.migrate,
    ReopenInstance: following.reopen,
    CompleteInstance: following.complete,
    RecordVersion: marking.record_version,
    RecordSideEffect: marking.record_side_effect,
}
