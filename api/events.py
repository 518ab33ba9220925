"""The publish door for entity changes, and the entity types of a tenant. Parse, one transaction, one command (RU-13)."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any

import asyncpg
from fastapi import Path
from pydantic import ValidationError
from starlette.responses import Response

from api import answers
from api.door import DoorRequest, json_answer
from api.event_inputs import BatchOfEvents, ChangeOfEntity, EntityTypePut, Published
from api.inputs import Cursor, Limit
from api.problems import Problem, body_of, problem_of, validation_errors
from api.views import Position, Row, answer_page, view_of
from domain.entities import kinds
from domain.entities.accepting import Answer, Offered, accept_changes
from runtime.sql import Connection
from schemas.errors import Rejected
from schemas.models import CODE_PATTERN

EntityType = Annotated[str, Path(min_length=1, max_length=100, pattern=CODE_PATTERN, description="Name of the entity type")]


async def publish_events(request: DoorRequest, body: Published) -> Response:
    """Publish one change, or a batch with an answer for each. An event that was taken before is a duplicate, no error: it is
    known by the caller and its `eventId`. When this answers, the events are durable; they reach Kafka in order per entity."""
    if isinstance(body, ChangeOfEntity):
        given: list[Offered | Problem] = [body.offered(request.caller())]
    else:
        given = [_read(request, item) for item in body.events]

    async def effect(conn: Connection) -> Response:
        offered = [one for one in given if isinstance(one, Offered)]
        taken = iter(await accept_changes(conn, request.door.outbox, request.caller(), offered))
        results = [one if isinstance(one, Problem) else _judged(next(taken)) for one in given]
        if isinstance(body, ChangeOfEntity) and isinstance(results[0], Problem):
            raise results[0]
        return json_answer(_answer(request, body, results))

    return await _of_known_tenant(request, effect)


async def list_entity_types(request: DoorRequest, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """The types that the tenant has described; every other type has the built-in fields and belongs to its upstream."""

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        rows = await kinds.list_kinds(conn, request.principal.tenant_id, after=after[0] if after else None, page_size=size + 1)
        return rows[:size], (rows[size - 1]["entity_type"],) if len(rows) > size else None

    return await answer_page(request, cursor=cursor, limit=limit, filters={}, read=read, view=_type_view)


async def put_entity_type(request: DoorRequest, entity_type: EntityType, body: EntityTypePut) -> Response:
    """Describe a type: its stage and status field, and whether its entities are changed here, by commands."""

    async def effect(conn: Connection) -> Response:
        who = request.principal
        row = await kinds.put_kind(conn, who.tenant_id, entity_type, **body.model_dump(), actor=who.user_id)
        return json_answer(_type_view(row))

    return await _of_known_tenant(request, effect)


def _read(request: DoorRequest, item: dict[str, Any]) -> Offered | Problem:
    try:
        return ChangeOfEntity.model_validate(item).offered(request.caller())
    except ValidationError as error:
        found = validation_errors([{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)])
        return Problem("ValidationFailed", "Some fields of the event are not valid; see errors.", members={"errors": found})


def _judged(answer: Answer) -> str | Problem:
    return problem_of(answer) if isinstance(answer, Rejected) else answer


def _answer(request: DoorRequest, body: ChangeOfEntity | BatchOfEvents, results: Sequence[str | Problem]) -> dict[str, Any]:
    ids = [body.event_id] if isinstance(body, ChangeOfEntity) else [item.get("eventId") for item in body.events]
    items = [_item(request, event_id, result) for event_id, result in zip(ids, results, strict=True)]
    counts = [item["status"] for item in items]
    return {
        "items": items,
        "accepted": counts.count("accepted"),
        "duplicates": counts.count("duplicate"),
        "refused": counts.count("refused"),
    }


def _item(request: DoorRequest, event_id: object, result: str | Problem) -> dict[str, Any]:
    # An id that is no text is not repeated: the item's place in the list says which one it is.
    known = {"eventId": event_id if isinstance(event_id, str) else None}
    if isinstance(result, str):
        return {**known, "status": result}
    problem = body_of(result, instance=request.url.path, trace_id=request.trace.trace_id)
    return {**known, "status": "refused", "problem": problem}


async def _of_known_tenant(request: DoorRequest, effect: Callable[[Connection], Coroutine[Any, Any, Response]]) -> Response:
    try:
        return await request.in_transaction(effect)
    except asyncpg.ForeignKeyViolationError:
        raise Problem("UnknownTenant", "The token's tenant is not known here; an operator must import it first.") from None


def _with_managed(row: Row) -> Row:
    return {**row, "managed": row["managed_since"] is not None}


_copy = view_of(answers.EntityTypeView)


def _type_view(row: Row) -> dict[str, Any]:
    return _copy(_with_managed(row))
