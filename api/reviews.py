"""Review tasks over HTTP (IN-9): a group's queue, claim, release, reassign, and the decision that resumes the journey."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from starlette.responses import Response

from api import answers
from api.door import DoorRequest, json_answer
from api.inputs import Cursor, Limit, WorkItemId
from api.onboarding import engine_of
from api.onboarding_admin_inputs import ApproveBody, DecisionBody, InQueue, ReassignBody
from api.onboarding_orders import operated
from api.problems import problem_of
from api.reasons import reason_of
from api.transactions import transaction
from api.views import Position, Row, answer_page, view_of
from domain.onboarding import review_tasks
from domain.onboarding.commands import warm
from domain.onboarding.review_fields import read_fields
from runtime.sql import Connection
from schemas.errors import Rejected
from schemas.onboarding import Decision

PATH = "/api/v1/reviews"


async def list_reviews(request: DoorRequest, limit: Limit = 50, cursor: Cursor = None, group: InQueue = None) -> Response:
    """Open tasks of a group, or of all groups of the caller, oldest first."""

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        place = (datetime.fromisoformat(after[0]), after[1]) if after else None
        rows = await review_tasks.list_queue(conn, request.caller(), group=group, after=place, size=size + 1)
        if isinstance(rows, Rejected):
            raise problem_of(rows)
        if len(rows) <= size:
            return rows, None
        last = rows[size - 1]
        return rows[:size], (last["opened_at"].isoformat(), last["work_item_id"])

    return await answer_page(request, cursor=cursor, limit=limit, filters={"group": group}, read=read, view=_view)


async def get_review(request: DoorRequest, work_item_id: WorkItemId) -> Response:
    """One task, without anything about the person."""

    async def effect(conn: Connection) -> Response:
        return json_answer(await _seen(conn, request, str(work_item_id)))

    return await request.in_transaction(effect)


async def read_review_fields(request: DoorRequest, work_item_id: WorkItemId) -> Response:
    """The fields that the reviewer may edit, as they are now. Needs Access-Reason; who read them stands in the audit log."""
    why, engine, caller = reason_of(request), engine_of(request), request.caller()

    async def effect(conn: Connection) -> Response:
        task = await review_tasks.find_task(conn, caller.tenant_id, str(work_item_id), caller.user_id)
        found = await read_fields(conn, engine.keys, caller, task, why)
        return request.refuse(found) if isinstance(found, Rejected) else json_answer({"fields": found})

    return await request.in_transaction(effect)


async def claim_review(request: DoorRequest, work_item_id: WorkItemId) -> Response:
    """Take the task from the queue. Again by the same person it changes nothing."""

    async def effect(conn: Connection) -> Response:
        return await _moved(conn, request, str(work_item_id), review_tasks.claim)

    return await request.in_transaction(effect, key_required=False)


async def release_review(request: DoorRequest, work_item_id: WorkItemId) -> Response:
    """Put the task back into the queue."""

    async def effect(conn: Connection) -> Response:
        return await _moved(conn, request, str(work_item_id), review_tasks.release)

    return await request.in_transaction(effect, key_required=False)


async def reassign_review(request: DoorRequest, work_item_id: WorkItemId, body: ReassignBody) -> Response:
    """Give the task to another member of the group."""

    async def effect(conn: Connection) -> Response:
        return await _moved(conn, request, str(work_item_id), review_tasks.reassign, body.assignee_id)

    return await request.in_transaction(effect, key_required=False)


async def approve_review(request: DoorRequest, work_item_id: WorkItemId, body: ApproveBody) -> Response:
    """Yes, with the fields that the definition lets a reviewer edit, and the journey goes on."""
    return await _decided(request, str(work_item_id), "approve", body)


async def reject_review(request: DoorRequest, work_item_id: WorkItemId, body: DecisionBody) -> Response:
    """No, and the journey ends or goes where the definition says."""
    return await _decided(request, str(work_item_id), "reject", body)


async def return_review(request: DoorRequest, work_item_id: WorkItemId, body: DecisionBody) -> Response:
    """Back to the person."""
    return await _decided(request, str(work_item_id), "return", body)


async def _moved(conn: Connection, request: DoorRequest, work_item_id: str, move: Any, *who: str) -> Response:
    refused = await move(conn, request.door.outbox, request.caller(), work_item_id, *who)
    return request.refuse(refused) if refused is not None else json_answer(await _seen(conn, request, work_item_id))


async def _seen(conn: Connection, request: DoorRequest, work_item_id: str) -> dict[str, Any]:
    who = request.principal
    return _view((await review_tasks.find_task(conn, who.tenant_id, work_item_id, who.user_id)).row)


async def _decided(request: DoorRequest, work_item_id: str, decision: Decision, body: ApproveBody | DecisionBody) -> Response:
    engine, who = engine_of(request), request.principal
    if body.reason is not None or body.fields:
        async with transaction(request.door.pool, who.tenant_id) as conn:
            task = await review_tasks.find_task(conn, who.tenant_id, work_item_id)
        await warm(engine.keys, who.tenant_id, task.user_id)

    async def effect(conn: Connection) -> Response:
        outcome = await review_tasks.decide(
            conn, engine, request.caller(), work_item_id, decision, reason=body.reason, fields=body.fields
        )
        return operated(request, outcome)

    return await request.in_transaction(effect, key_required=False)


_view = view_of(answers.ReviewView, group="group_name")
