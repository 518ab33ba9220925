"""The directory over HTTP: the caller's tenant, its users and teams. Nobody is deleted; people are switched off."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any

import asyncpg
from fastapi import Query
from starlette.responses import Response

from api import answers
from api.door import DoorRequest, json_answer
from api.inputs import Cursor, Limit, TeamId, TeamPut, TenantPut, UserId, UserPut
from api.problems import Problem
from api.views import Position, Row, answer_page, view_of
from domain.directory import people
from domain.directory.entries import TeamEntry, TenantEntry, UserEntry
from runtime.sql import Connection
from schemas.errors import NotFound
from schemas.models import Identifier


async def get_tenant(request: DoorRequest) -> Response:
    """The caller's tenant."""

    async def effect(conn: Connection) -> Response:
        return json_answer(_tenant_view(await _own_tenant(conn)))

    return await request.in_transaction(effect)


async def put_tenant(request: DoorRequest, body: TenantPut) -> Response:
    """Change the tenant's name, zone and holidays. Tenants themselves are added by an operator of the system."""

    async def effect(conn: Connection) -> Response:
        who = request.principal
        await _own_tenant(conn)
        await people.put_tenants(conn, [TenantEntry(tenant_id=who.tenant_id, **body.model_dump())], actor=who.user_id)
        return json_answer(_tenant_view(await _own_tenant(conn)))

    return await request.in_transaction(effect)


async def list_users(
    request: DoorRequest,
    team_id: Annotated[Identifier | None, Query(alias="teamId")] = None,
    active: bool | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Users by id, of one team or standing when asked."""

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        rows = await people.list_users(
            conn,
            request.principal.tenant_id,
            team_id=team_id,
            active=active,
            after=after[0] if after else None,
            page_size=size + 1,
        )
        return _page(rows, size, "user_id")

    filters = {"teamId": team_id, "active": None if active is None else str(active).lower()}
    return await answer_page(request, cursor=cursor, limit=limit, filters=filters, read=read, view=_user_view)


async def put_user(request: DoorRequest, user_id: UserId, body: UserPut) -> Response:
    """Add a user, or change his name and roles; `active` switches him on or off, left out it stays."""

    async def effect(conn: Connection) -> Response:
        who = request.principal
        entry = UserEntry(tenant_id=who.tenant_id, user_id=user_id, **body.model_dump())
        await people.put_users(conn, [entry], actor=who.user_id)
        if body.active is not None:
            await people.set_active(conn, "user", who.tenant_id, [user_id], body.active, actor=who.user_id)
        return json_answer({"userId": user_id})

    return await _written(request, effect)


async def list_teams(request: DoorRequest, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Teams by id, with their members."""

    async def read(conn: Connection, after: Position | None, size: int) -> tuple[Sequence[Row], Position | None]:
        rows = await people.list_teams(conn, request.principal.tenant_id, after=after[0] if after else None, page_size=size + 1)
        return _page(rows, size, "team_id")

    return await answer_page(request, cursor=cursor, limit=limit, filters={}, read=read, view=_team_view)


async def put_team(request: DoorRequest, team_id: TeamId, body: TeamPut) -> Response:
    """Add a team or change its name, and add members; nobody is removed here."""

    async def effect(conn: Connection) -> Response:
        who = request.principal
        entry = TeamEntry(tenant_id=who.tenant_id, team_id=team_id, **body.model_dump(exclude={"active"}))
        await people.put_teams(conn, [entry], actor=who.user_id)
        if body.active is not None:
            await people.set_active(conn, "team", who.tenant_id, [team_id], body.active, actor=who.user_id)
        return json_answer({"teamId": team_id})

    return await _written(request, effect)


async def remove_member(request: DoorRequest, team_id: TeamId, user_id: UserId) -> Response:
    """Take a user out of a team."""

    async def effect(conn: Connection) -> Response:
        who = request.principal
        if not await people.remove_members(conn, who.tenant_id, team_id, [user_id], actor=who.user_id):
            raise NotFound("The team or the member does not exist; list the teams of this tenant.")
        return Response(status_code=204)

    return await request.in_transaction(effect)


async def _own_tenant(conn: Connection) -> Mapping[str, Any]:
    # Row level security leaves one tenant to see: the token's.
    rows = await people.list_tenants(conn, page_size=1)
    if not rows:
        raise NotFound("The token's tenant is not known here; an operator must import it first.")
    return rows[0]


async def _written(request: DoorRequest, effect: Callable[[Connection], Coroutine[Any, Any, Response]]) -> Response:
    """The effect's answer; a reference to nobody becomes a problem."""
    try:
        return await request.in_transaction(effect)
    except asyncpg.ForeignKeyViolationError as error:
        if error.table_name == "team_members":
            raise Problem("UnknownMember", "A member is not in the directory; add the user first.") from None
        raise Problem("UnknownTenant", "The token's tenant is not known here; an operator must import it first.") from None


def _page(rows: Sequence[Row], limit: int, key: str) -> tuple[Sequence[Row], Position | None]:
    """One row more than the page holds was asked for: it says that there is a next page."""
    return rows[:limit], (rows[limit - 1][key],) if len(rows) > limit else None


_tenant_view = view_of(answers.TenantView)
_user_view = view_of(answers.UserView)
_team_view = view_of(answers.TeamView)
