"""Cases over HTTP: a persist point, decrypted reading, versions, removal (UC-01). Parse, one transaction, one command.

Reading needs a role and a reason, and leaves both in the audit log; sensitive fields are masked for whoever lacks the
role for them.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

import orjson
from fastapi import Query
from starlette.responses import Response

from api import answers
from api.conditions import etag, if_match
from api.door import DoorRequest, json_answer
from api.inputs import CaseId, Cursor, Limit, NewSnapshot
from api.problems import Problem
from api.raw_members import raw_member
from api.reasons import LONGEST_REASON, REASON, reason_of
from api.transactions import transaction
from api.views import Position, Row, answer_page, view_of
from domain.cases import commands, reads
from domain.cases.composing import names_in
from domain.cases.decisions import MAY_SEE_SENSITIVE, Decided, Outcome
from domain.cases.masking import masked
from domain.cases.sealing import Keys
from runtime.sql import Connection
from schemas.cases import ClassName, RemoveCase, StoreSnapshot
from schemas.errors import Rejected
from schemas.models import Identifier

PATH = "/api/v1/cases"

Version = Annotated[int | None, Query(ge=1, lt=2**63, description="A version; the latest when absent")]
Reason = Annotated[
    str | None,
    Query(min_length=1, max_length=LONGEST_REASON, description=f"Why the data is read; or send {REASON}"),
]


async def store_snapshot(request: DoorRequest, case_id: CaseId, body: NewSnapshot) -> Response:
    """A persist point: all variables of the case as they are now (UC-01). Needs an Idempotency-Key, because the same request
    again would be another version. `variables` reach the snapshot byte by byte."""
    matched = if_match(request)
    if matched is not None and body.expected_version not in (None, matched):
        raise Problem("InvalidIfMatch", "If-Match and expectedVersion name different versions; send one of them.")
    given = body.model_dump(exclude={"variables"}, exclude_unset=True)
    expected = {} if matched is None else {"expected_version": matched}
    variables = raw_member(await request.body(), "variables")
    command = StoreSnapshot(case_id=case_id, variables=variables, **(given | expected))
    keys, caller = _keys(request), request.caller()
    # A long text that is refused takes a second to say where it is wrong, in which the loop must not stand still.
    names = await asyncio.to_thread(names_in, variables)
    # The claim of the Idempotency-Key writes: a transaction that waited for a key then would hold up every relay.
    await commands.warm_key(keys, caller, command, request.door.case_classes.kept, names)

    async def effect(conn: Connection) -> Response:
        known = await request.door.case_classes.read(conn)
        outcome = await commands.store_snapshot(conn, request.door.outbox, keys, caller, command, known, names)
        return _acted(request, outcome, status=201, matched=matched)

    return await request.in_transaction(effect, key_required=True)


async def remove_case(request: DoorRequest, case_id: CaseId) -> Response:
    """A removal: a version without contents. Earlier versions stay readable for whoever may read."""
    matched = if_match(request)

    async def effect(conn: Connection) -> Response:
        command = RemoveCase(case_id=case_id, expected_version=matched)
        outcome = await commands.remove_case(conn, request.door.outbox, request.caller(), command)
        return _acted(request, outcome, matched=matched)

    return await request.in_transaction(effect)


async def read_case(request: DoorRequest, case_id: CaseId, version: Version = None, reason: Reason = None) -> Response:
    """The decrypted latest version, or a named one. Say why, in the query or in a header: it goes to the audit log with your
    name. Sensitive fields are masked unless the role `case-reader-sensitive` is yours."""
    why, keys, caller = reason_of(request, reason), _keys(request), request.caller()
    async with transaction(request.door.pool, caller.tenant_id) as conn:
        place = await commands.find_key(conn, caller, case_id, version=version)
    if place is not None:
        # The reading's transaction holds the subject against a shred and writes the audit row: it waits for no key service.
        await keys.secrets([place])

    async def effect(conn: Connection) -> Response:
        found = await commands.read_case(conn, keys, caller, case_id, version=version, reason=why)
        if isinstance(found, Rejected):
            return request.refuse(found)
        text, hidden = found.text, MAY_SEE_SENSITIVE.isdisjoint(request.principal.roles)
        if hidden:
            known = (await request.door.case_classes.read(conn)).get(found.case.class_name)
            # A class that is no longer known says nothing about what is sensitive: nothing is shown.
            text = masked(text, known.sensitive_paths if known else ("$",))
        shown = {name: getattr(found.case, name) for name in _COLUMNS} | {"version": found.version}
        body = {**_case_view(shown), "masked": hidden, "document": orjson.Fragment(text)}
        return json_answer(body, headers={"ETag": etag(found.case.version)})

    return await request.in_transaction(effect)


async def list_cases(
    request: DoorRequest,
    class_name: Annotated[ClassName | None, Query(alias="className")] = None,
    subject_id: Annotated[Identifier | None, Query(alias="subjectId")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Cases by id, without their contents."""

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        tenant, last = request.principal.tenant_id, after[0] if after else ""
        page = await reads.list_cases(conn, tenant, class_name=class_name, subject_id=subject_id, after=last, page_size=size)
        return page.rows, page.next and (page.next,)

    filters = {"className": class_name, "subjectId": subject_id}
    return await answer_page(request, cursor=cursor, limit=limit, filters=filters, read=read, view=_case_view)


async def list_versions(request: DoorRequest, case_id: CaseId, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """The case's versions, newest first, without their contents."""

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        last = int(after[0]) if after else None
        page = await reads.list_versions(conn, request.principal.tenant_id, case_id, after=last, page_size=size)
        return page.rows, page.next and (str(page.next),)

    return await answer_page(request, cursor=cursor, limit=limit, filters={}, read=read, view=_version_view)


def _acted(request: DoorRequest, outcome: Outcome, *, status: int = 200, matched: int | None = None) -> Response:
    if isinstance(outcome, Rejected):
        return request.refuse(outcome, if_match=matched)
    case = outcome.after if isinstance(outcome, Decided) else outcome.case
    headers = {"ETag": etag(case.version)} | ({"Location": f"{PATH}/{quote(case.case_id, safe='')}"} if status == 201 else {})
    row: dict[str, Any] = {name: getattr(case, name) for name in ("case_id", "class_name", "version", "removed")}
    return json_answer(_stored_view(row), status, headers)


def _keys(request: DoorRequest) -> Keys:
    if request.door.keys is None:
        raise Problem("TemporarilyUnavailable", "This process has no key ring; ask another one.")
    return request.door.keys


_stored_view = view_of(answers.CaseStored)
_case_view = view_of(answers.CaseView)
_version_view = view_of(answers.CaseVersionView)
_COLUMNS = tuple(answers.CaseView.model_fields)
