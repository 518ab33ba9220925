"""People decide (IN-9): on a state that waits for them, or on a step that gave up. The decision resumes the journey."""

from domain.onboarding import refusals
from domain.onboarding.instance import ReviewTask
from domain.onboarding.moving import enter, take
from domain.onboarding.turn import Outcome, Turn, Unchanged
from schemas.onboarding import ReviewDecided
from schemas.workflow_events import ActionAccepted, ReviewConcluded

# A decision on a state is the action of this name, for the actor REVIEWER.
ACTIONS = {"approve": "APPROVE", "reject": "REJECT", "return": "RETURN"}


def decided(turn: Turn, command: ReviewDecided) -> Outcome:
    """A decision, of the task that is open. One for an earlier task is old news."""
    instance, review = turn.instance, turn.instance.review
    if "REVIEWER" not in turn.context.actors:
        return refusals.not_permitted(instance, "decide a review")
    if command.task is None or command.task > instance.tasks:
        return refusals.no_such_task(instance, command.task)
    if review is None or review.number != command.task:
        return Unchanged(instance, f"review task {command.task} was decided or withdrawn before")
    for name in command.edited_fields:
        if name not in review.editable:
            return refusals.field_not_editable(instance, name, review.editable)
    return _on_state(turn, command) if review.step is None else _on_step(turn, command, review)


def _on_state(turn: Turn, command: ReviewDecided) -> Outcome:
    state, action = turn.instance.state, ACTIONS[command.decision]
    move = turn.flow.moves.get((state, action))
    if move is None or "REVIEWER" not in move.actors:
        return refusals.no_such_decision(turn.instance, turn.flow, command.decision)
    _conclude(turn, command)
    turn.tell(ActionAccepted(at=turn.now, action=action, actor="REVIEWER", by=turn.context.by, state=state))
    take(turn, move)
    return turn.decided()


def _on_step(turn: Turn, command: ReviewDecided, review: ReviewTask) -> Outcome:
    step = turn.instance.steps[review.step or 0]
    move = turn.flow.moves[step.state, step.action]
    policy = move.on_failure.review if move.on_failure is not None else None
    assert policy is not None, "a step is reviewed because its transition says so"
    _conclude(turn, command)
    targets = {"approve": move.to, "reject": policy.reject, "return": policy.return_to or move.from_state}
    enter(turn, targets[command.decision])
    return turn.decided()


def _conclude(turn: Turn, command: ReviewDecided) -> None:
    task = command.task
    assert task is not None, "asked before"
    turn.tell(
        ReviewConcluded(
            at=turn.now,
            task=task,
            decision=command.decision,
            by=turn.context.by,
            data=command.data,
            reason=command.reason,
        )
    )
