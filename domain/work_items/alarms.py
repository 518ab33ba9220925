"""Which refusals a person must see: the workflow ended, and its work item cannot follow (trap 49, WI-7)."""

from domain.incidents import Incident
from schemas.errors import Rejected

BEFORE_WORK = "autoclose-refused"
ORPHAN = "instance-without-item"
DISAGREEMENT = "coupling-disagreement"


def alarm_of(rejected: Rejected, tenant_id: str, work_item_id: str, *, of_instance: bool) -> Incident | None:
    """The incident of a refused closing by the workflow; None for every other refusal."""
    action = rejected.details.get("action")
    if action == "AutoCloseFromWorkflow" and rejected.code == "InvalidTransition":
        return _before_work(rejected, tenant_id, work_item_id)
    if of_instance:
        return _orphan(rejected, tenant_id, work_item_id)
    return None


def _before_work(rejected: Rejected, tenant_id: str, work_item_id: str) -> Incident:
    return Incident(
        tenant_id,
        BEFORE_WORK,
        str(rejected.details.get("status")),
        f"the workflow of work item {work_item_id} ended while the item is {rejected.details.get('status')}",
        object_type="work_item",
        object_id=work_item_id,
        cure="work on the item and close it, or cancel it; then resolve this incident",
    )


def _orphan(rejected: Rejected, tenant_id: str, work_item_id: str) -> Incident:
    return Incident(
        tenant_id,
        ORPHAN,
        rejected.code,
        f"a workflow instance speaks of work item {work_item_id}: {rejected.code}",
        object_type="work_item",
        object_id=work_item_id,
        cure="look the instance up in the onboarding admin pages; cancel it when the item was never sent",
    )
