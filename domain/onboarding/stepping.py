"""Outcomes of calls, and what follows when a step gives up.

An outcome belongs to an attempt. Of the step under way a success of any attempt is the step's success, also after a timeout or
when an operator was already asked; a failure counts only of the attempt that is waited for. Any other outcome is kept, because
an undo waits for it. Garbage, a call that never returns and an answer of 50 MB are failures that the caller reports; a success
with an outcome that the flow does not name gives up, since taking it for plain success could clear whom AML refused.
"""

from domain.onboarding.attempts import begin_attempt, try_again
from domain.onboarding.instance import Step
from domain.onboarding.moving import enter
from domain.onboarding.refusals import no_such_step, not_permitted
from domain.onboarding.saga import call_ended, tell_undone
from domain.onboarding.turn import Outcome, Turn, Unchanged
from schemas.onboarding import StepFailed, StepSucceeded
from schemas.workflow_events import (
    IncidentRaised,
    LateOutcome,
    ReviewRequested,
    SagaCompensation,
    StepAttemptFailed,
    StepCompleted,
    StepTimedOut,
)

# Nothing is wrong with the step: it waits for other code, whatever its flow says of failures.
VERSION_UNSUPPORTED = "version-unsupported"


def succeeded(turn: Turn, command: StepSucceeded) -> Outcome:
    """A call did what it was to do."""
    found = _step_of(turn, command)
    if not isinstance(found, Step):
        return found
    if command.attempt in found.succeeded:
        return Unchanged(turn.instance, f"attempt {command.attempt} of step {found.number} succeeded before")
    if turn.instance.current != found.number:
        return _late(turn, found, command, succeeded=True, unknown=False)
    move = turn.flow.moves.get((found.state, found.action))
    if found.undoes is None and move is not None and command.outcome not in (None, *move.outcomes):
        return _nameless(turn, found, command)
    turn.tell(
        StepCompleted(at=turn.now, step=found.number, attempt=command.attempt, outcome=command.outcome, data=command.data)
    )
    if found.undoes is not None:
        tell_undone(turn, found)
    else:
        assert move is not None, "an instance does not move to another version during a step"
        enter(turn, move.outcomes.get(command.outcome or "", move.to))
    return turn.decided()


def failed(turn: Turn, command: StepFailed) -> Outcome:
    """A call did not, or nobody knows."""
    found = _step_of(turn, command)
    if not isinstance(found, Step):
        return found
    if command.attempt not in found.open:
        return Unchanged(turn.instance, f"attempt {command.attempt} of step {found.number} has ended before")
    unknown = command.unknown and command.called
    if not _is_awaited(turn, found, command.attempt):
        return _late(turn, found, command, succeeded=False, unknown=unknown)
    turn.tell(
        StepAttemptFailed(
            at=turn.now,
            step=found.number,
            attempt=command.attempt,
            code=command.code,
            retryable=command.retryable,
            unknown=unknown,
        )
    )
    _again_or_give_up(turn, found.number, command.code, retryable=command.retryable)
    return turn.decided()


def attempt_timed_out(turn: Turn, step: Step) -> Outcome:
    """The call takes too long. It may still end in any way, and the next attempt does not wait for that."""
    turn.tell(StepTimedOut(at=turn.now, step=step.number, attempt=step.attempt, limit="attempt"))
    _again_or_give_up(turn, step.number, "attempt-timeout", retryable=True)
    return turn.decided()


def total_timed_out(turn: Turn, step: Step) -> Outcome:
    """The step as a whole takes too long."""
    turn.tell(StepTimedOut(at=turn.now, step=step.number, attempt=step.attempt, limit="total"))
    _give_up(turn, turn.instance.steps[step.number], "total-timeout")
    return turn.decided()


def retry_due(turn: Turn, step: Step) -> Outcome:
    """The pause is over."""
    begin_attempt(turn, step)
    return turn.decided()


def _nameless(turn: Turn, step: Step, command: StepSucceeded) -> Outcome:
    """It did something, and names an outcome that the flow does not know: nobody may guess which way that is."""
    if command.attempt not in step.open:
        return Unchanged(turn.instance, f"attempt {command.attempt} of step {step.number} has ended before")
    if not _is_awaited(turn, step, command.attempt):
        return _late(turn, step, command, succeeded=False, unknown=True)
    code = "unknown-outcome"
    turn.tell(
        StepAttemptFailed(at=turn.now, step=step.number, attempt=command.attempt, code=code, retryable=False, unknown=True)
    )
    _give_up(turn, turn.instance.steps[step.number], code)
    return turn.decided()


def _is_awaited(turn: Turn, step: Step, attempt: int) -> bool:
    return turn.instance.current == step.number and step.status == "running" and attempt == step.attempt


def _again_or_give_up(turn: Turn, number: int, code: str, *, retryable: bool) -> None:
    step = turn.instance.steps[number]
    if not (retryable and try_again(turn, step)):
        _give_up(turn, step, code)


def _give_up(turn: Turn, step: Step, code: str) -> None:
    if step.undoes is not None:
        forward = turn.instance.steps[step.undoes]
        turn.tell(
            SagaCompensation(
                at=turn.now,
                phase="failed",
                undoes=forward.number,
                step=step.number,
                compensation=forward.compensation,
                code=code,
            )
        )
        return
    policy = turn.flow.moves[step.state, step.action].on_failure
    if policy is None or code == VERSION_UNSUPPORTED:
        turn.tell(IncidentRaised(at=turn.now, step=step.number, code=code))
    elif policy.to is not None:
        enter(turn, policy.to)
    elif policy.review is not None:
        task = turn.instance.tasks + 1
        group, editable = policy.review.group, policy.review.editable
        turn.tell(ReviewRequested(at=turn.now, task=task, group=group, step=step.number, editable=editable))


def _late(turn: Turn, step: Step, command: StepSucceeded | StepFailed, *, succeeded: bool, unknown: bool) -> Outcome:
    data = command.data if isinstance(command, StepSucceeded) else None
    turn.tell(
        LateOutcome(at=turn.now, step=step.number, attempt=command.attempt, succeeded=succeeded, unknown=unknown, data=data)
    )
    call_ended(turn, step.number, succeeded=succeeded)
    return turn.decided()


def _step_of(turn: Turn, command: StepSucceeded | StepFailed) -> Step | Outcome:
    instance = turn.instance
    if "SYSTEM" not in turn.context.actors:
        return not_permitted(instance, command.TYPE)
    number = int(command.step) if command.step.isdecimal() and len(command.step) < 10 else 0
    if not 0 < number <= instance.step_count:
        return no_such_step(instance, command.step)
    step = instance.steps.get(number)
    if step is None:
        return Unchanged(instance, f"step {number} is over and nothing depends on it")
    if command.attempt > step.attempt:
        return no_such_step(instance, f"{number}, attempt {command.attempt}")
    return step
