"""Operators' orders to one instance, as both doors give them: audited, and a refusal says what can be ordered instead.

A reason is what a person said: it is sealed in the history, under the number that the audit entry names.
"""

from dataclasses import replace
from typing import Literal

from domain.audit import append
from domain.onboarding import reads
from domain.onboarding.commands import give, warm
from domain.onboarding.engine import Engine
from domain.onboarding.instance import FINAL, UNDOING, Instance
from domain.onboarding.performing import OBJECT
from domain.onboarding.turn import Decided, Outcome
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.onboarding import (
    ApproveCompensationInput,
    CancelInstance,
    MarkCompensated,
    ProposeCompensationInput,
    RetryCompensation,
    RetryStep,
    ReviewDecided,
)

Operation = Literal["cancel", "retry", "mark-compensated", "propose-input", "approve-input"]
Order = (
    CancelInstance
    | RetryStep
    | RetryCompensation
    | MarkCompensated
    | ProposeCompensationInput
    | ApproveCompensationInput
    | ReviewDecided
)
__all__ = ["Operation", "Order", "operations", "order", "retry", "user_of", "warm"]

_AUDITED: dict[type[Order], str] = {
    CancelInstance: "onboarding.cancel",
    RetryStep: "onboarding.retry",
    RetryCompensation: "onboarding.retry-compensation",
    MarkCompensated: "onboarding.mark-compensated",
    ProposeCompensationInput: "onboarding.propose-input",
    ApproveCompensationInput: "onboarding.approve-input",
    ReviewDecided: "onboarding.review",
}


def operations(instance: Instance) -> list[Operation]:
    """What an operator can order of an instance as it is."""
    if instance.status in FINAL:
        return []
    if instance.status not in UNDOING:
        return ["cancel", "retry"] if instance.status == "INCIDENT" else ["cancel"]
    if instance.status == "COMPENSATING":
        return []
    found: list[Operation] = ["retry", "mark-compensated", "propose-input"]
    return [*found, "approve-input"] if instance.proposal is not None else found


async def user_of(conn: Connection, tenant_id: str, instance_id: str) -> str:
    """Under whose key a reason will be sealed. Raises NotFound."""
    return str((await reads.get_instance(conn, tenant_id, instance_id))["user_id"])


async def order(conn: Connection, engine: Engine, caller: Caller, command: Order) -> Outcome:
    """Give the order, and leave a row in the audit log where it was carried out."""
    outcome = await give(conn, engine, caller, command)
    if isinstance(outcome, Rejected) and outcome.code != "InvalidTransition":
        return outcome
    # Calls that were cancelled with it have ended at once, so it may be further by now than it was decided to be.
    instance = await reads.get_folded(conn, caller.tenant_id, command.instance_id)
    match outcome:
        case Rejected():
            return replace(outcome, details={**outcome.details, "allowedOperations": operations(instance)})
        case Decided():
            await _audit(conn, caller, command, outcome.instance.version - len(outcome.events) + 1, instance)
    return replace(outcome, instance=instance)


async def retry(
    conn: Connection, engine: Engine, caller: Caller, instance_id: str, reason: str, expected_version: int | None = None
) -> Outcome:
    """Let what failed for good, a step or a compensation, try again. Raises NotFound."""
    failed_back = (await reads.get_instance(conn, caller.tenant_id, instance_id))["status"] == "COMPENSATION_FAILED"
    kind = RetryCompensation if failed_back else RetryStep
    command = kind(instance_id=instance_id, reason=reason, expected_version=expected_version)
    return await order(conn, engine, caller, command)


async def _audit(conn: Connection, caller: Caller, command: Order, event: int, instance: Instance) -> None:
    detail: dict[str, object] = {"event": event, "status": instance.status}
    if isinstance(command, ReviewDecided):
        detail |= {"task": command.task, "decision": command.decision, "fields": list(command.edited_fields)}
    await append(
        conn,
        tenant_id=caller.tenant_id,
        actor=caller.user_id,
        action=_AUDITED[type(command)],
        object_type=OBJECT,
        object_id=command.instance_id,
        detail=detail,
    )
