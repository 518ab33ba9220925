"""Secrets of the caller's tenant over HTTP: put, list, remove. No answer has a value."""

from collections.abc import Sequence

import asyncpg
from starlette.responses import Response

from api import answers
from api.door import DoorRequest, json_answer
from api.inputs import Cursor, Limit
from api.outgoing_inputs import SecretName, SecretPut
from api.problems import Problem
from api.views import Position, Row, answer_page, view_of
from domain.secrets import commands, reads
from runtime.sql import Connection
from schemas.errors import Rejected


async def list_secrets(request: DoorRequest, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Secrets by name: which value counts, who put it and when."""

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        tenant, last = request.principal.tenant_id, after[0] if after else None
        rows = await reads.list_secrets(conn, tenant, after=last, page_size=size + 1)
        return rows[:size], (rows[size - 1]["name"],) if len(rows) > size else None

    return await answer_page(request, cursor=cursor, limit=limit, filters={}, read=read, view=_view)


async def put_secret(request: DoorRequest, secret_name: SecretName, body: SecretPut) -> Response:
    """Put a secret's value, or its next one while the one before lives on for a while."""
    who, keys = request.principal, request.door.keys
    if keys is None:
        raise Problem("TemporarilyUnavailable", "This process has no keys; ask another one.")

    async def effect(conn: Connection) -> Response:
        version = await commands.put_secret(
            conn,
            keys,
            who.tenant_id,
            secret_name,
            body.value,
            actor=who.user_id,
            previous_lives_seconds=body.previous_lives_seconds,
        )
        if isinstance(version, Rejected):
            return request.refuse(version)
        return json_answer({"name": secret_name, "version": version})

    try:
        return await request.in_transaction(effect)
    except asyncpg.ForeignKeyViolationError:
        raise Problem("UnknownTenant", "The token's tenant is not known here; an operator must import it first.") from None


async def remove_secret(request: DoorRequest, secret_name: SecretName) -> Response:
    """Remove a secret with its values. Webhooks that name it fail from now on."""

    async def effect(conn: Connection) -> Response:
        await commands.remove_secret(conn, request.principal.tenant_id, secret_name, actor=request.principal.user_id)
        return Response(status_code=204)

    return await request.in_transaction(effect)


_view = view_of(answers.SecretView)
