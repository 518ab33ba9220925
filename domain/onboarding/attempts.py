"""Steps and their attempts: when one begins, and when the next one follows. What comes after a step is elsewhere."""

from datetime import datetime, timedelta

from domain.onboarding.instance import Step
from domain.onboarding.turn import Turn
from schemas.flows import Retry, Transition
from schemas.workflow_events import StepRetryScheduled, StepStarted

# After a migration the transition of an earlier step may be gone; its compensation still has to run.
_ANY_RETRY = Retry(retries=5)


def begin_step(turn: Turn, move: Transition) -> None:
    """The first attempt of a forward step."""
    assert move.handler is not None, "a transition without a handler has no step"
    turn.tell(
        StepStarted(
            at=turn.now,
            step=turn.instance.step_count + 1,
            attempt=1,
            state=move.from_state,
            action=move.action,
            handler=move.handler,
            compensation=move.compensation,
            attempt_due=_after(turn.now, move.attempt_timeout),
            total_due=_after(turn.now, move.total_timeout),
        )
    )


def begin_undo(turn: Turn, forward: Step) -> int:
    """The first attempt of an undo, a step of its own; its number."""
    assert forward.compensation is not None, "only a step with a compensation is undone"
    number, move = turn.instance.step_count + 1, _move_of(turn, forward)
    turn.tell(
        StepStarted(
            at=turn.now,
            step=number,
            attempt=1,
            state=forward.state,
            action=forward.action,
            handler=forward.compensation,
            undoes=forward.number,
            attempt_due=_after(turn.now, move.attempt_timeout if move else None),
        )
    )
    return number


def begin_attempt(turn: Turn, step: Step, *, fresh: bool = False, input_from: int | None = None) -> None:
    """The next attempt. `fresh`: an operator wants it, with all retries and the whole time anew."""
    move = _move_of(turn, step)
    total = _after(turn.now, move.total_timeout) if fresh and move and step.undoes is None else step.total_due
    turn.tell(
        StepStarted(
            at=turn.now,
            step=step.number,
            attempt=step.attempt + 1,
            state=step.state,
            action=step.action,
            handler=step.handler,
            undoes=step.undoes,
            attempt_due=_after(turn.now, move.attempt_timeout if move else None),
            total_due=total,
            fresh=fresh,
            input_from=input_from,
        )
    )


def try_again(turn: Turn, step: Step) -> bool:
    """Schedule the next attempt; False when no retry is left."""
    move = _move_of(turn, step)
    retry = _ANY_RETRY if move is None else move.retry if step.undoes is None else move.compensation_retry
    made = step.attempt - step.spent
    if made > retry.retries:
        return False
    due = turn.now + pause_before(retry, made, turn.context.jitter)
    turn.tell(StepRetryScheduled(at=turn.now, step=step.number, attempt=step.attempt + 1, due_at=due))
    return True


def pause_before(retry: Retry, number: int, jitter: float) -> timedelta:
    """The pause before retry `number`, from 1. Jitter makes it up to a fifth longer, so that failures do not come in step."""
    # Beyond 2**32 every pause is the longest one; the power itself would leave the range.
    growth = 2 ** min(number - 1, 32) if retry.backoff == "exponential" else 1
    planned = retry.longest if growth > retry.longest / retry.delay else min(retry.delay * growth, retry.longest)
    return planned + timedelta(microseconds=round(planned / timedelta(microseconds=1) * 0.2 * jitter))


def _move_of(turn: Turn, step: Step) -> Transition | None:
    return turn.flow.moves.get((step.state, step.action))


def _after(now: datetime, duration: timedelta | None) -> datetime | None:
    return None if duration is None else now + duration
