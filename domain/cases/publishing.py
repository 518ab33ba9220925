"""How versions become outbox events: one numbered event per version, one without a number for a refused command."""

from base64 import b64encode
from datetime import datetime
from typing import cast

from domain.cases.sealing import Sealed
from domain.outbox import OutboxEvent
from schemas.caller import Caller
from schemas.cases import CaseAction, CaseCommandRefused, CaseSnapshotStored
from schemas.errors import Rejected

TOPIC = "case.snapshots.v1"
AGGREGATE = "case"


def told(sealed: Sealed) -> OutboxEvent:
    """The event of a version, with its sealed snapshot: topic and keys together are enough to rebuild."""
    case, caller = sealed.case, sealed.composed.decided.caller
    return OutboxEvent(
        topic=TOPIC,
        tenant_id=case.tenant_id,
        aggregate=AGGREGATE,
        aggregate_id=case.case_id,
        payload=CaseSnapshotStored(
            case_id=case.case_id,
            class_name=case.class_name,
            version=case.version,
            subject_id=case.subject_id,
            removed=case.removed,
            snapshot=None if sealed.snapshot is None else b64encode(sealed.snapshot).decode(),
        ),
        occurred_at=case.updated_at,
        created_by=caller.user_id,
        sequence=case.version,
        traceparent=caller.traceparent,
        causation=caller.causation,
    )


def refused(
    rejected: Rejected, case_id: str, action: CaseAction, caller: Caller, now: datetime, *, command_source: str, command_id: str
) -> OutboxEvent:
    """The answer to a command that was refused: its code, and no word of what it carried."""
    return OutboxEvent(
        topic=TOPIC,
        tenant_id=caller.tenant_id,
        aggregate=AGGREGATE,
        aggregate_id=case_id,
        payload=CaseCommandRefused(
            case_id=case_id,
            command_source=command_source,
            command_id=command_id,
            action=action,
            code=rejected.code,
            version=cast("int | None", rejected.details.get("version")),
            refused_at=now,
        ),
        occurred_at=now,
        created_by=caller.user_id,
        traceparent=caller.traceparent,
        causation=caller.causation,
    )
