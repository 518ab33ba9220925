"""Who viewed or changed data of persons, for operators (IN-12). It is the audit log's part that names a person."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from api import answers
from api.door import DoorRequest
from api.inputs import Cursor, Limit
from api.views import Position, Row, answer_page, view_of
from domain.audit.accesses import list_accesses
from runtime.sql import Connection

PATH = "/api/v1/data-accesses"
OfSubject = Annotated[
    str | None,
    Query(alias="subjectId", min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f|]+$", description="Only of this person"),
]


async def list_data_accesses(
    request: DoorRequest, limit: Limit = 50, cursor: Cursor = None, subject_id: OfSubject = None
) -> Response:
    """Latest first: who, when, which object and fields, and why if a reason was asked for."""

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        place = (datetime.fromisoformat(after[0]), after[1]) if after else None
        rows = await list_accesses(conn, request.principal.tenant_id, subject_id=subject_id, after=place, size=size + 1)
        if len(rows) <= size:
            return rows, None
        last = rows[size - 1]
        return rows[:size], (last["at"].isoformat(), last["access_id"])

    return await answer_page(request, cursor=cursor, limit=limit, filters={"subjectId": subject_id}, read=read, view=_view)


_view = view_of(answers.DataAccess)
