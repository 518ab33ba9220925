"""What operators order about journeys: cancel, retry, what to do about a compensation that failed, and retries by cause.

Each order carries its reason, which is sealed in the history, and leaves a row in the audit log.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from starlette.responses import Response

from api import answers
from api.conditions import etag, if_match
from api.door import DoorRequest, json_answer
from api.inputs import Cursor, Limit
from api.onboarding import engine_of
from api.onboarding_admin_inputs import (
    ApprovalBody,
    BulkRetryBody,
    EventNumber,
    InputBody,
    MigrationBody,
    OfCause,
    OfKind,
    OrderBody,
)
from api.onboarding_inputs import InstanceId
from api.problems import Problem
from api.reasons import reason_of
from api.transactions import transaction
from api.views import Position, Row, answer_page, view_of
from domain.onboarding import migrating, supervising, troubles
from domain.onboarding.flows.migrating import Plan
from domain.onboarding.reasons import read_reason
from domain.onboarding.turn import Decided, Outcome
from runtime.sql import Connection
from schemas.errors import Rejected
from schemas.onboarding import ApproveCompensationInput, CancelInstance, MarkCompensated, ProposeCompensationInput


async def cancel_onboarding(request: DoorRequest, instance_id: InstanceId, body: OrderBody) -> Response:
    """End an instance; what it did is compensated."""
    told = {"reason": body.reason, "expected_version": _expected(request, body)}
    return await _ordered(request, CancelInstance(instance_id=instance_id, **told))


async def retry_onboarding(request: DoorRequest, instance_id: InstanceId, body: OrderBody) -> Response:
    """Let a step that became an incident, or a compensation that failed, try again with all its retries."""
    engine, expected = engine_of(request), _expected(request, body)
    await _warm(request, instance_id)

    async def effect(conn: Connection) -> Response:
        outcome = await supervising.retry(conn, engine, request.caller(), instance_id, body.reason, expected)
        return operated(request, outcome)

    return await request.in_transaction(effect, key_required=False)


async def mark_compensated(request: DoorRequest, instance_id: InstanceId, body: OrderBody) -> Response:
    """The step was undone by hand, and the way back goes on."""
    told = {"reason": body.reason, "expected_version": _expected(request, body)}
    return await _ordered(request, MarkCompensated(instance_id=instance_id, **told))


async def propose_compensation_input(request: DoorRequest, instance_id: InstanceId, body: InputBody) -> Response:
    """Other input for a compensation that failed. It runs once a second operator approves."""
    command = ProposeCompensationInput(instance_id=instance_id, reason=body.reason, data=dict(body.data))
    return await _ordered(request, command)


async def approve_compensation_input(request: DoorRequest, instance_id: InstanceId, body: ApprovalBody) -> Response:
    """Run the compensation with the proposed input; whoever proposed it may not."""
    return await _ordered(request, ApproveCompensationInput(instance_id=instance_id, proposal=body.proposal))


async def list_onboarding_incidents(
    request: DoorRequest,
    state: Annotated[Literal["open", "resolved"], Query()] = "open",
    kind: OfKind = None,
    fingerprint: OfCause = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Incidents about instances, latest sighting first; with `kind` and `fingerprint` the open ones of that cause."""
    if (kind is None) != (fingerprint is None) or (kind is not None and state != "open"):
        found = {"parameter": "fingerprint", "in": "query", "code": "incomplete", "message": "Send kind with it, of open ones."}
        raise Problem("ValidationFailed", "A cause is a kind and a fingerprint; see errors.", members={"errors": [found]})
    tenant_id = request.principal.tenant_id

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        if kind is not None and fingerprint is not None:
            seen = after[0] if after else None
            rows = await troubles.list_alike(conn, tenant_id, kind=kind, fingerprint=fingerprint, after=seen, size=size + 1)
            return rows[:size], (rows[size - 1]["instance_id"],) if len(rows) > size else None
        place = (datetime.fromisoformat(after[0]), UUID(after[1])) if after else None
        rows = await troubles.list_incidents(conn, tenant_id, state=state, after=place, size=size + 1)
        if len(rows) <= size:
            return rows, None
        last = rows[size - 1]
        return rows[:size], (last["last_seen"].isoformat(), str(last["incident_id"]))

    filters = {"state": state, "kind": kind, "fingerprint": fingerprint}
    return await answer_page(request, cursor=cursor, limit=limit, filters=filters, read=read, view=_incident)


async def retry_onboarding_incidents(request: DoorRequest, body: BulkRetryBody) -> Response:
    """Retry every instance with this trouble, each by itself; the answer says of each what became of it."""
    engine, who = engine_of(request), request.principal
    async with transaction(request.door.pool, who.tenant_id) as conn:
        rows = await troubles.list_alike(conn, who.tenant_id, kind=body.kind, fingerprint=body.fingerprint, size=body.limit + 1)

    async def within(ordered: troubles.Ordered) -> Outcome:
        async with transaction(request.door.pool, who.tenant_id) as conn:
            return await ordered(conn)

    tried = await troubles.retry_all(rows[: body.limit], within, engine, request.caller(), body.reason)
    counts = Counter(one.result for one in tried)
    return json_answer(
        {
            "kind": body.kind,
            "fingerprint": body.fingerprint,
            "retried": counts["retried"],
            "refused": counts["refused"],
            "failed": counts["failed"],
            "notTried": counts["not-tried"],
            "more": len(rows) > body.limit,
            "results": [_tried(asdict(one)) for one in tried],
        }
    )


async def migrate_onboarding(request: DoorRequest, body: MigrationBody) -> Response:
    """Move instances to another version of their flow, or say what moving them would be."""
    engine, caller = engine_of(request), request.caller()
    ordered = migrating.Migration(body.flow, body.from_version, body.to_version, body.states, body.reason)
    if not body.dry_run:
        async with transaction(request.door.pool, caller.tenant_id) as conn:
            await migrating.warm_page(conn, engine, caller.tenant_id, ordered, after=body.after, size=body.limit)

    async def effect(conn: Connection) -> Response:
        plan = await migrating.plan_of(conn, engine, caller.tenant_id, ordered)
        if isinstance(plan, Rejected):
            return request.refuse(plan)
        go = migrating.try_page if body.dry_run else migrating.move_page
        found = await go(conn, engine, caller, ordered, after=body.after, size=body.limit)
        return request.refuse(found) if isinstance(found, Rejected) else _migrated(body, plan, found)

    return await request.in_transaction(effect, key_required=False)


def _migrated(body: MigrationBody, plan: Plan, page: migrating.Page) -> Response:
    counts = Counter(one.result for one in page.moved)
    return json_answer(
        {
            "flow": body.flow,
            "fromVersion": body.from_version,
            "toVersion": body.to_version,
            "dryRun": body.dry_run,
            "plan": [asdict(fit) for fit in plan.fits],
            "unknownStates": plan.unknown,
            "lostCompensations": plan.undone_by,
            "fits": counts["fits"],
            "moved": counts["moved"],
            "stays": counts["stays"],
            "results": [_moved(asdict(one)) for one in page.moved],
            "next": page.next,
        }
    )


async def read_onboarding_reason(request: DoorRequest, instance_id: InstanceId, event_number: EventNumber) -> Response:
    """The reason that an event gives, as it was written. Needs Access-Reason; who read it stands in the audit log."""
    why, engine = reason_of(request), engine_of(request)

    async def effect(conn: Connection) -> Response:
        found = await read_reason(conn, engine.keys, request.caller(), instance_id, event_number, why)
        return request.refuse(found) if isinstance(found, Rejected) else json_answer(found)

    return await request.in_transaction(effect)


async def _ordered(request: DoorRequest, command: supervising.Order) -> Response:
    engine = engine_of(request)
    await _warm(request, command.instance_id)

    async def effect(conn: Connection) -> Response:
        return operated(request, await supervising.order(conn, engine, request.caller(), command))

    return await request.in_transaction(effect, key_required=False)


async def _warm(request: DoorRequest, instance_id: str) -> None:
    """In a transaction of its own: a key service may be slow, and nothing waits for it with a lock."""
    engine, who = engine_of(request), request.principal
    async with transaction(request.door.pool, who.tenant_id) as conn:
        user_id = await supervising.user_of(conn, who.tenant_id, instance_id)
    await supervising.warm(engine.keys, who.tenant_id, user_id)


def _expected(request: DoorRequest, body: OrderBody) -> int | None:
    matched = if_match(request)
    if matched is not None and body.expected_version not in (None, matched):
        raise Problem("InvalidIfMatch", "If-Match and expectedVersion name different versions; send one of them.")
    return body.expected_version if matched is None else matched


def operated(request: DoorRequest, outcome: Outcome) -> Response:
    """Where the journey stands after an order, or the refusal as its problem."""
    if isinstance(outcome, Rejected):
        return request.refuse(outcome, if_match=if_match(request))
    instance = outcome.instance
    answer = {
        "instanceId": instance.id,
        "status": instance.status,
        "currentState": instance.state,
        "version": instance.version,
        "changed": isinstance(outcome, Decided),
    }
    return json_answer(answer, headers={"ETag": etag(instance.version)})


_incident = view_of(answers.InstanceIncident)
_tried = view_of(answers.TriedIncident)
_moved = view_of(answers.MovedInstance)
