"""Moving on: from a state by a transition to the next state, and on as far as the engine goes by itself."""

from datetime import datetime

from domain.onboarding.attempts import begin_step
from domain.onboarding.orders import PersistCase
from domain.onboarding.saga import begin_ending, tell_status
from domain.onboarding.turn import ENGINE, Turn
from schemas.flows import State, Transition
from schemas.workflow_events import ActionAccepted, ReviewRequested, StateEntered, WorkflowEnded


class EndlessFlow(Exception):
    """Automatic transitions without handlers form a circle: `casestream flow lint` refuses such a definition."""


def take(turn: Turn, move: Transition) -> None:
    """A transition whose action was accepted: its step, or at once its state."""
    if move.handler is not None:
        begin_step(turn, move)
    else:
        enter(turn, move.to)


def enter(turn: Turn, state: str) -> None:
    """A state, and everything that the engine does there by itself."""
    for _ in turn.flow.states:
        spec = turn.flow.states[state]
        _tell_entry(turn, spec)
        if spec.end == "completed":
            turn.tell(WorkflowEnded(at=turn.now, status="COMPLETED", ending="completed"))
            tell_status(turn, "COMPLETED")
            return
        if spec.end == "rejected":
            begin_ending(turn, "rejected")
            return
        if spec.review is not None:
            task = turn.instance.tasks + 1
            group, editable = spec.review.group, spec.review.editable
            turn.tell(ReviewRequested(at=turn.now, task=task, group=group, editable=editable))
            return
        move = turn.flow.automatic.get(state)
        if move is None:
            return
        turn.tell(ActionAccepted(at=turn.now, action=move.action, actor="SYSTEM", by=ENGINE, state=state))
        if move.handler is not None:
            begin_step(turn, move)
            return
        state = move.to
    raise EndlessFlow(f"{turn.flow.key} goes round in a circle at {state}")


def _tell_entry(turn: Turn, spec: State) -> None:
    expires: datetime | None = None
    reminders: tuple[datetime, ...] = ()
    waits = spec.end is None and (spec.review is not None or spec.name not in turn.flow.automatic)
    if spec.sla is not None and waits:
        expires = turn.now + spec.sla.expires_after
        reminders = tuple(turn.now + after for after in spec.sla.remind_after)
    entry = turn.instance.entry + 1
    turn.tell(StateEntered(at=turn.now, state=spec.name, entry=entry, expires_at=expires, reminders_at=reminders))
    if spec.persist:
        turn.notices.append(PersistCase(spec.name, entry))
