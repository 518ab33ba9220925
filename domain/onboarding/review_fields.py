"""What a reviewer may edit, as it is now: the fields that the definition names, and nothing else of the case (IN-9, IN-12)."""

from typing import Any

from domain.audit import append
from domain.keys.guard import hold_subjects
from domain.onboarding import reads
from domain.onboarding.performing import OBJECT
from domain.onboarding.review_tasks import Task, may_not
from domain.onboarding.sealing import CASE, Keys, key_place, open_words
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.errors import DecryptionFailed, Rejected


async def read_fields(conn: Connection, keys: Keys, caller: Caller, task: Task, why: str) -> dict[str, Any] | Rejected:
    """Values by field; None: nothing is known of it. Who read them, and why, goes to the audit log."""
    if (refusal := may_not(task, caller, "read")) is not None:
        return refusal
    review = (await reads.get_folded(conn, caller.tenant_id, task.instance_id)).review
    editable = review.editable if review is not None else ()
    case = await reads.find_case(conn, caller.tenant_id, task.instance_id)
    subject = (caller.tenant_id, task.user_id)
    secrets = await keys.secrets([key_place(subject, case["case_data"])]) if case and case["case_data"] else {}
    erased = await hold_subjects(conn, [subject])
    await append(
        conn,
        tenant_id=caller.tenant_id,
        actor=caller.user_id,
        action="onboarding.read-fields",
        object_type=OBJECT,
        object_id=task.instance_id,
        reason=why,
        detail={"task": task.task, "fields": list(editable), "subject": task.user_id},
    )
    if erased:
        return _erased()
    if not case or not case["case_data"]:
        return dict.fromkeys(editable)
    try:
        known = open_words(secrets, subject, CASE, task.instance_id, case["version"], case["case_data"])
    except DecryptionFailed:
        return _erased()
    return {name: known.get(name) for name in editable}


def _erased() -> Rejected:
    return Rejected("SubjectErased", "read a review: the person was erased, and nothing about him is kept any more")
