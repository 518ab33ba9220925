"""One instance as its page shows it: the folded row, the latest attempts, what is wrong, and what can be ordered."""

from typing import Any

from domain.onboarding import reads, troubles
from domain.onboarding.instance import FINAL, Instance, Step
from domain.onboarding.performing import task_item
from domain.onboarding.supervising import operations
from runtime.sql import Connection

LATEST_ATTEMPTS = 100
_OF_STEP = ("attempt", "state", "action", "handler", "status", "undoes", "attempt_due", "retry_due", "total_due")


async def detail_of(conn: Connection, tenant_id: str, instance_id: str) -> dict[str, Any]:
    """Everything but what persons said. Raises NotFound."""
    row = await reads.get_instance(conn, tenant_id, instance_id)
    instance = await reads.get_folded(conn, tenant_id, instance_id)
    return {
        **row,
        **told(instance),
        "attempts": await reads.list_attempts(conn, tenant_id, instance_id, most=LATEST_ATTEMPTS),
        "incidents": await troubles.list_open_of(conn, tenant_id, instance_id),
    }


def told(instance: Instance) -> dict[str, Any]:
    """What only the folded instance knows."""
    step, review, proposal = instance.step, instance.review, instance.proposal
    return {
        "version": instance.version,
        "status": instance.status,
        "step": None if step is None else _step(step),
        "to_undo": _to_undo(instance),
        "review": None
        if review is None
        else {
            "task": review.number,
            "group": review.group,
            "step": review.step,
            "work_item_id": task_item(instance.tenant_id, instance.id, review.number),
            "editable": list(review.editable),
        },
        "proposal": None if proposal is None else {"proposal": proposal.number, "by": proposal.by},
        "allowed_operations": operations(instance),
    }


def _step(step: Step) -> dict[str, Any]:
    return {"step": step.number, **{name: getattr(step, name) for name in _OF_STEP}}


def _to_undo(instance: Instance) -> list[str]:
    """The latest first: that is the way back."""
    if instance.status in FINAL and instance.ending == "completed":
        return []
    owed = [step for step in instance.steps.values() if step.owes_undo]
    return [step.compensation or "" for step in sorted(owed, key=lambda step: -step.number)]
