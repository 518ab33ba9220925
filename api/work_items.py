"""Work items over HTTP: the documents' paths and bodies (S3 section 7). Parse, one transaction, one command, map the answer."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from api import answers
from api.conditions import etag, if_match, require_if_match
from api.door import DoorRequest, json_answer
from api.inputs import ActionRequest, Cursor, FieldChanges, Limit, NewComment, NewWorkItem, WorkItemId
from api.problems import Problem
from api.views import Position, Row, answer_page, view_of
from domain.work_items import commands, reads
from domain.work_items.decisions import Outcome, result_of
from domain.work_items.reads import Filter
from domain.work_items.taxonomy import Entry, default_taxonomy
from domain.work_items.transitions import (
    CONTROLS,
    STATUS_LABELS,
    Choice,
    Control,
    allowed_next_actions,
    choices,
    next_status,
)
from runtime.ids import uuid7
from runtime.sql import Connection
from schemas.errors import Rejected
from schemas.models import Code, Identifier
from schemas.work_items import ApplyAction, CreateWorkItem, Priority, Source, Status

PATH = "/api/crm/work-items"


async def create(request: DoorRequest, body: NewWorkItem) -> Response:
    """Create a work item and send it, or save it as a draft (WI-4). Needs an Idempotency-Key: a creation repeated by a
    client that never saw the answer must not make a second item."""
    command = CreateWorkItem(
        work_item_id=str(body.work_item_id or uuid7()), **body.model_dump(exclude={"work_item_id"}, exclude_unset=True)
    )

    async def effect(conn: Connection) -> Response:
        caller = request.caller(_source(request, body.occurred_at))
        return _acted(request, await commands.create_work_item(conn, request.door.outbox, caller, command), status=201)

    return await request.in_transaction(effect, key_required=True)


async def apply_action(request: DoorRequest, work_item_id: WorkItemId, body: ActionRequest) -> Response:
    """Move the item through the state machine (WI-3). An Idempotency-Key is optional: without it a repeated action
    is judged by the item's new status."""
    matched = if_match(request)
    if matched is not None and body.expected_version not in (None, matched):
        raise Problem("InvalidIfMatch", "If-Match and expectedVersion name different versions; send one of them.")
    command = ApplyAction(
        work_item_id=str(work_item_id),
        **(body.model_dump(exclude_unset=True) | ({} if matched is None else {"expected_version": matched})),
    )

    async def effect(conn: Connection) -> Response:
        caller = request.caller(_source(request, body.occurred_at))
        outcome = await commands.apply_action(conn, request.door.outbox, caller, command)
        return _acted(request, outcome, matched=matched)

    return await request.in_transaction(effect, key_required=False)


def _source(request: DoorRequest, occurred_at: datetime | None) -> Source:
    """An import is told by its role and by the time that it states; everything else here is a person at the screen."""
    return "IMPORT" if occurred_at is not None and "import" in request.principal.roles else "CRM_UI"


def _acted(request: DoorRequest, outcome: Outcome, *, status: int = 200, matched: int | None = None) -> Response:
    """The document's reply (S3 7.1.2), or the refusal as its problem."""
    if isinstance(outcome, Rejected):
        return request.refuse(outcome, if_match=matched)
    result = result_of(outcome)
    headers = {"ETag": etag(result.version)}
    if status == 201:
        headers["Location"] = f"{PATH}/{result.work_item_id}"
    body = {
        "workItemId": result.work_item_id,
        "oldStatus": result.old_status,
        "newStatus": result.new_status,
        "statusChanged": result.status_changed,
        "displayStatus": result.display_status,
        "allowedNextActions": result.allowed_next_actions,
        "version": result.version,
        "cycle": result.cycle,
    }
    return json_answer(body, status, headers)


async def edit(request: DoorRequest, work_item_id: WorkItemId, body: FieldChanges) -> Response:
    """Change fields without the state machine (WI-5). Needs If-Match, so that nobody overwrites what he never saw."""
    matched = require_if_match(request)

    async def effect(conn: Connection) -> Response:
        edited = await commands.edit_fields(
            conn, request.door.outbox, request.caller(), str(work_item_id), body.given(), expected_version=matched
        )
        if isinstance(edited, Rejected):
            return request.refuse(edited, if_match=matched)
        answer = {
            "workItemId": edited.after.id,
            "version": edited.after.version,
            "changedFields": [to_camel(name) for name in edited.changes],
        }
        return json_answer(answer, headers={"ETag": etag(edited.after.version)})

    return await request.in_transaction(effect)


async def comment(request: DoorRequest, work_item_id: WorkItemId, body: NewComment) -> Response:
    """Add a comment."""

    async def effect(conn: Connection) -> Response:
        added = await commands.add_comment(conn, request.caller(), str(work_item_id), body.body)
        return request.refuse(added) if isinstance(added, Rejected) else json_answer(_comment_view(added), 201)

    return await request.in_transaction(effect, key_required=False)


async def get(request: DoorRequest, work_item_id: WorkItemId) -> Response:
    """One work item, with the controls of its screen as the caller's roles may use them (WI-9)."""

    async def effect(conn: Connection) -> Response:
        row = await reads.get_work_item(conn, request.principal.tenant_id, str(work_item_id))
        controls = [_choice_view(choice) for choice in choices(row["status"], request.principal.roles)]
        return json_answer({**_item_view(row), "controls": controls}, headers={"ETag": etag(row["version"])})

    return await request.in_transaction(effect)


async def list_items(
    request: DoorRequest,
    status: Status | None = None,
    assignee_id: Annotated[Identifier | None, Query(alias="assigneeId")] = None,
    process: Code | None = None,
    priority: Priority | None = None,
    request_type: Annotated[Code | None, Query(alias="requestType")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Work items, newest first."""
    narrowed = Filter(status, assignee_id, process, priority, request_type)

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        seen = (datetime.fromisoformat(after[0]), after[1]) if after else None
        page = await reads.list_work_items(conn, request.principal.tenant_id, narrowed, after=seen, page_size=size)
        return page.rows, page.next and (page.next[0].isoformat(), page.next[1])

    filters = {
        "status": status,
        "assigneeId": assignee_id,
        "process": process,
        "priority": priority,
        "requestType": request_type,
    }
    return await answer_page(request, cursor=cursor, limit=limit, filters=filters, read=read, view=_item_view)


async def list_history(request: DoorRequest, work_item_id: WorkItemId, limit: Limit = 200, cursor: Cursor = None) -> Response:
    """The item's state history, oldest first (the screen's tab "Lịch sử")."""

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        seen = int(after[0]) if after else 0
        page = await reads.list_history(conn, request.principal.tenant_id, str(work_item_id), after=seen, page_size=size)
        return page.rows, page.next and (str(page.next),)

    return await answer_page(request, cursor=cursor, limit=limit, filters={}, read=read, view=_change_view)


async def list_comments(request: DoorRequest, work_item_id: WorkItemId, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """The item's comments, oldest first."""

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        seen = after[0] if after else None
        page = await reads.list_comments(conn, request.principal.tenant_id, str(work_item_id), after=seen, page_size=size)
        return page.rows, page.next and (page.next,)

    return await answer_page(request, cursor=cursor, limit=limit, filters={}, read=read, view=_comment_view)


async def taxonomy(request: DoorRequest) -> Response:
    """What the screens offer: codes with their labels, statuses, and which control means which action (WI-8, WI-9)."""
    lists = default_taxonomy()
    entries = {to_camel(entry.name): [_entry_view(e) for e in getattr(lists, entry.name)] for entry in fields(lists)}
    statuses = [
        {"status": status, "label": asdict(label), "allowedNextActions": allowed_next_actions(status)}
        for status, label in STATUS_LABELS.items()
    ]
    return json_answer({**entries, "statuses": statuses, "controls": [_control_view(control) for control in CONTROLS]})


def _item_view(row: Row) -> dict[str, Any]:
    status = row["status"]
    told = {"displayStatus": STATUS_LABELS[status].vi, "allowedNextActions": allowed_next_actions(status)}
    return {**_item_fields(row), **told}


def _choice_view(choice: Choice) -> dict[str, Any]:
    return {
        "key": choice.key,
        "kind": choice.kind,
        "label": asdict(choice.label),
        "action": choice.action,
        "targetStatus": choice.target_status,
        "enabled": choice.enabled,
    }


def _control_view(control: Control) -> dict[str, Any]:
    targets = {status: next_status(action, status) for status, action in control.actions.items()}
    return {
        "key": control.key,
        "kind": control.kind,
        "label": asdict(control.label),
        "actions": dict(control.actions),
        "targetStatuses": targets,
    }


def _entry_view(entry: Entry) -> dict[str, Any]:
    named = {name: getattr(entry, name) for name in ("area", "group", "coupling")}
    return {"code": entry.code, "label": {"vi": entry.vi, "en": entry.en}, **named}


_item_fields = view_of(answers.WorkItemView, work_item_id="id")
_change_view = view_of(answers.StateChange)
_comment_view = view_of(answers.CommentView)
