"""A reason that somebody gave for an order or a decision, opened again for who says why he asks. Nothing else is opened."""

import json
from typing import Any

from domain.audit import append
from domain.keys.guard import hold_subjects
from domain.onboarding import reads
from domain.onboarding.performing import OBJECT
from domain.onboarding.sealing import EVENT, Keys, key_place, open_words
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.errors import DecryptionFailed, NotFound, Rejected


async def read_reason(
    conn: Connection, keys: Keys, caller: Caller, instance_id: str, number: int, why: str
) -> dict[str, Any] | Rejected:
    """The reason in event `number`; who read it, and why, goes to the audit log. Raises NotFound: there is none."""
    row = await reads.get_said(conn, caller.tenant_id, instance_id, number)
    payload = json.loads(row["payload"])
    if "reason" not in payload:
        raise NotFound(f"Event {number} of instance {instance_id} gives no reason")
    subject, sealed = (caller.tenant_id, row["user_id"]), row["data"]
    secrets = await keys.secrets([key_place(subject, sealed)]) if sealed is not None else {}
    erased = await hold_subjects(conn, [subject])
    await append(
        conn,
        tenant_id=caller.tenant_id,
        actor=caller.user_id,
        action="onboarding.read-reason",
        object_type=OBJECT,
        object_id=instance_id,
        reason=why,
        detail={"event": number},
    )
    gone = Rejected("SubjectErased", "read a reason: the person was erased, and what was said of him with him")
    if erased or sealed is None:
        return gone
    try:
        words = open_words(secrets, subject, EVENT, instance_id, number, sealed)
    except DecryptionFailed:
        return gone
    told = {"number": number, "at": row["created_at"], "type": row["event_type"], "by": payload.get("by")}
    return {**told, "reason": words["reason"]}
