"""How an instance follows its work item: closed with it, opened again with it (WI-7). A cancel is everybody's: `decisions`.

An order carries the item's cycle. One of an older cycle is old news; one that was followed before changes nothing.
"""

from domain.onboarding import refusals
from domain.onboarding.instance import FINAL, UNDOING
from domain.onboarding.moving import enter
from domain.onboarding.saga import tell_status
from domain.onboarding.turn import Outcome, Turn, Unchanged
from schemas.onboarding import CompleteInstance, InstanceStatusChanged, ReopenInstance
from schemas.workflow_events import ActionAccepted, WorkflowEnded, WorkflowReopened

# The name that a history gives to the closing of the item.
CLOSED = "WORK_ITEM_CLOSED"


def complete(turn: Turn, command: CompleteInstance) -> Outcome:
    """The work item was closed as done: so is the instance, wherever it stood. A call under way may end; nothing waits for it.

    Nothing is compensated: who closes an item says that its work is good. Who wants it undone cancels.
    """
    instance = turn.instance
    if "SYSTEM" not in turn.context.actors:
        return refusals.not_permitted(instance, "complete an instance")
    if command.cycle < instance.cycle:
        return Unchanged(instance, f"cycle {command.cycle} is over, the instance is in cycle {instance.cycle}")
    if instance.status in FINAL or instance.status in UNDOING:
        return Unchanged(instance, f"the instance is {instance.status} already")
    turn.tell(ActionAccepted(at=turn.now, action=CLOSED, actor="SYSTEM", by=turn.context.by, state=instance.state))
    turn.tell(WorkflowEnded(at=turn.now, status="COMPLETED", ending="completed"))
    tell_status(turn, "COMPLETED")
    return turn.decided()


def reopen(turn: Turn, command: ReopenInstance) -> Outcome:
    """The work item was opened again. What was compensated cannot go on: it takes a new instance.

    An item may be reopened from resolved, when its instance still runs: it runs on, in the new cycle. Without that its end
    would be of a cycle that is over, and would never close the item.
    """
    instance, target = turn.instance, turn.flow.definition.reopen_to
    if "SYSTEM" not in turn.context.actors:
        return refusals.not_permitted(instance, "reopen an instance")
    if command.cycle <= instance.cycle:
        return Unchanged(instance, f"the instance is in cycle {instance.cycle} already")
    if instance.status in UNDOING:
        return refusals.cannot_reopen(instance, "it is being undone; start a new one")
    if instance.status not in FINAL:
        turn.tell(WorkflowReopened(at=turn.now, cycle=command.cycle))
        turn.tell(_runs_on(turn))
        return turn.decided()
    if instance.status == "COMPENSATED" or target is None:
        return refusals.cannot_reopen(instance, "its flow does not say where it would go on; start a new one")
    turn.tell(WorkflowReopened(at=turn.now, cycle=command.cycle))
    tell_status(turn, "ACTIVE")
    enter(turn, target)
    return turn.decided()


def _runs_on(turn: Turn) -> InstanceStatusChanged:
    instance = turn.instance
    return InstanceStatusChanged(
        instance_id=instance.id,
        work_item_id=instance.work_item_id,
        cycle=instance.cycle,
        status="running",
        changed_at=turn.now,
    )
