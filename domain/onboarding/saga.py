"""The way back (WF-9): what was done, or may have been done, is undone in reverse order; cancel and expiry go the same way.

1. Nobody waits for the step under way any more: its call is cancelled if nobody has claimed it.
2. The latest forward step that owes an undo comes first. While one of its calls is open nothing begins: an undo must not
   overtake its own forward call.
3. When its calls have ended and it was not done after all, it is skipped; otherwise its undo runs, a step with attempts.
4. An undo that gives up is COMPENSATION_FAILED: an operator lets it try again, changes its input under four eyes, or marks
   it done.
5. When nothing is owed the instance ends: COMPENSATED, or as it was ended if nothing had been done.

A forward call that succeeds after its undo (a call that was thought dead) owes an undo again, also after the end.
"""

from domain.onboarding.attempts import begin_undo
from domain.onboarding.instance import Instance, Step
from domain.onboarding.turn import Turn
from schemas.onboarding import InstanceStatusChanged
from schemas.workflow_events import Ending, SagaCompensation, Status, WorkflowEnded


def begin_ending(turn: Turn, ending: Ending) -> None:
    """End the instance this way, with what that takes."""
    owing = owed(turn.instance)
    if not owing:
        _end(turn, ending)
        return
    turn.tell(SagaCompensation(at=turn.now, phase="started", ending=ending, steps=tuple(step.number for step in owing)))
    go_on(turn)


def go_on(turn: Turn) -> None:
    """The next undo, if none is under way and its forward call has ended; the end, if nothing is owed."""
    if turn.instance.status != "COMPENSATING" or turn.instance.current is not None:
        return
    owing = owed(turn.instance)
    if not owing:
        _end(turn, turn.instance.ending or "canceled")
    elif not owing[0].open:
        undo = begin_undo(turn, owing[0])
        turn.tell(_about(turn, owing[0], "undoing", undo))


def tell_undone(turn: Turn, undo: Step) -> None:
    """An undo has succeeded."""
    forward = turn.instance.steps[undo.undoes or 0]
    turn.tell(_about(turn, forward, "undone", undo.number))
    go_on(turn)


def call_ended(turn: Turn, number: int, *, succeeded: bool) -> None:
    """A forward call ended that nobody waited for: of a step that must be undone, or that was thought to be."""
    step = turn.instance.steps.get(number)
    if step is None or step.compensation is None or turn.instance.ending in (None, "completed"):
        return
    if succeeded and (step.undone or turn.instance.ended_at is not None):
        turn.tell(_about(turn, step, "again"))
    elif not step.possible and not step.open and not step.undone:
        turn.tell(_about(turn, step, "skipped"))
    go_on(turn)


def owed(instance: Instance) -> list[Step]:
    """What must be undone, the latest step first."""
    return sorted((step for step in instance.steps.values() if step.owes_undo), key=lambda step: -step.number)


def tell_status(turn: Turn, status: Status) -> None:
    """Tell a coupled work item, unless it knows."""
    coarse = _COARSE.get(status, "running")
    instance = turn.instance
    if instance.told != coarse:
        turn.tell(
            InstanceStatusChanged(
                instance_id=instance.id,
                work_item_id=instance.work_item_id,
                cycle=instance.cycle,
                status=coarse,
                changed_at=turn.now,
            )
        )


def _end(turn: Turn, ending: Ending) -> None:
    undone = any(step.undone for step in turn.instance.steps.values())
    status: Status = "COMPENSATED" if undone else _STATUS[ending]
    turn.tell(WorkflowEnded(at=turn.now, status=status, ending=ending))
    tell_status(turn, status)


def _about(turn: Turn, forward: Step, phase: str, undo: int | None = None) -> SagaCompensation:
    return SagaCompensation.model_validate(
        {
            "at": turn.now,
            "phase": phase,
            "undoes": forward.number,
            "step": undo,
            "compensation": forward.compensation,
        }
    )


_STATUS: dict[Ending, Status] = {
    "completed": "COMPLETED",
    "rejected": "REJECTED",
    "canceled": "CANCELED",
    "expired": "CANCELED",
}
_COARSE = {"COMPLETED": "completed", "REJECTED": "canceled", "CANCELED": "canceled", "COMPENSATED": "canceled"}
