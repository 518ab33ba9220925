"""Tenants, users, teams and members: put, list, switch on and off. Batches in one order, in the caller's transaction.

Nobody is deleted: an item's history names them. `active` belongs to whoever switches it; an entry without it keeps it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from domain.audit import append
from domain.directory.entries import TeamEntry, TenantEntry, UserEntry
from domain.timers.commands import arm
from domain.timers.timer import Timer, entry_at
from runtime.sql import Connection, load_queries

queries = load_queries(Path(__file__).with_name("directory.sql"))

Kind = Literal["tenant", "user", "team"]
# The timer that is due at once when a tenant's days are others: whoever counts by them counts again.
CALENDAR_CHANGED = "tenant-calendar"


async def put_tenants(conn: Connection, entries: Sequence[TenantEntry], *, actor: str) -> None:
    """Add tenants, or change their names, zones and holidays; what counts by a changed calendar is told by a timer."""
    newest = {entry.tenant_id: entry for entry in entries}
    rows = await queries.upsert_tenants(
        conn,
        tenant_ids=list(newest),
        names=[entry.name for entry in newest.values()],
        zones=[entry.zone for entry in newest.values()],
        holidays=[json.dumps([day.isoformat() for day in entry.holidays]) for entry in newest.values()],
    )
    moved = [(row["tenant_id"], row["now"]) for row in rows if row["calendar_changed"]]
    await arm(conn, [Timer(tenant, CALENDAR_CHANGED, CALENDAR_CHANGED, now, entry=entry_at(now)) for tenant, now in moved])
    for tenant_id in newest:
        await _record(conn, tenant_id, actor, "directory.put", "tenant", 1)


async def put_users(conn: Connection, entries: Sequence[UserEntry], *, actor: str) -> None:
    """Add users, or change their names and roles. Raises asyncpg.ForeignKeyViolationError for an unknown tenant."""
    newest = {(entry.tenant_id, entry.user_id): entry for entry in entries}
    await queries.upsert_users(
        conn,
        tenant_ids=[tenant for tenant, _ in newest],
        user_ids=[user for _, user in newest],
        display_names=[entry.display_name for entry in newest.values()],
        actives=[entry.active for entry in newest.values()],
        roles=[json.dumps(entry.roles) for entry in newest.values()],
    )
    await _record_each(conn, [tenant for tenant, _ in newest], actor, "user")


async def put_teams(conn: Connection, entries: Sequence[TeamEntry], *, actor: str) -> None:
    """Add teams or change their names, and add members, who are users already.

    Raises asyncpg.ForeignKeyViolationError for an unknown tenant or member.
    """
    newest = {(entry.tenant_id, entry.team_id): entry for entry in entries}
    await queries.upsert_teams(
        conn,
        tenant_ids=[tenant for tenant, _ in newest],
        team_ids=[team for _, team in newest],
        names=[entry.name for entry in newest.values()],
    )
    members = [(entry.tenant_id, entry.team_id, user) for entry in entries for user in entry.member_ids]
    await queries.add_members(
        conn,
        tenant_ids=[tenant for tenant, _, _ in members],
        team_ids=[team for _, team, _ in members],
        user_ids=[user for _, _, user in members],
    )
    await _record_each(conn, [tenant for tenant, _ in newest], actor, "team")


async def remove_members(conn: Connection, tenant_id: str, team_id: str, user_ids: Sequence[str], *, actor: str) -> int:
    """Take users out of a team; how many were in it."""
    count = int(await queries.remove_members(conn, tenant_id=tenant_id, team_id=team_id, user_ids=list(user_ids)))
    if count:
        await _record(conn, tenant_id, actor, "directory.remove-members", "team", count, team_id)
    return count


async def set_active(
    conn: Connection, kind: Kind, tenant_id: str, ids: Sequence[str], active: bool, *, actor: str
) -> list[str]:
    """Switch a tenant (its id is both), users or teams on or off; the ids that exist."""
    wanted = list(ids)
    match kind:
        case "tenant":
            rows = await queries.set_tenants_active(conn, tenant_ids=wanted, active=active)
        case "user":
            rows = await queries.set_users_active(conn, tenant_id=tenant_id, user_ids=wanted, active=active)
        case "team":
            rows = await queries.set_teams_active(conn, tenant_id=tenant_id, team_ids=wanted, active=active)
    for row in rows:
        await _record(conn, tenant_id, actor, "directory.activate" if active else "directory.deactivate", kind, 1, row["id"])
    return [row["id"] for row in rows]


async def list_tenants(conn: Connection, *, after: str | None = None, page_size: int = 100) -> list[dict[str, Any]]:
    """One page of the tenants that the connection may see, by id; `after` is the last id seen."""
    return [dict(row) for row in await queries.list_tenants(conn, after=after, page_size=page_size)]


async def list_users(
    conn: Connection,
    tenant_id: str,
    *,
    team_id: str | None = None,
    active: bool | None = None,
    after: str | None = None,
    page_size: int = 100,
) -> list[dict[str, Any]]:
    """One page of a tenant's users by id, of one team or standing when asked."""
    rows = await queries.list_users(conn, tenant_id=tenant_id, team_id=team_id, active=active, after=after, page_size=page_size)
    return [dict(row) for row in rows]


async def list_teams(
    conn: Connection, tenant_id: str, *, after: str | None = None, page_size: int = 100
) -> list[dict[str, Any]]:
    """One page of a tenant's teams by id, each with `member_ids`."""
    return [dict(row) for row in await queries.list_teams(conn, tenant_id=tenant_id, after=after, page_size=page_size)]


async def _record_each(conn: Connection, tenants: Sequence[str], actor: str, kind: Kind) -> None:
    for tenant_id in dict.fromkeys(tenants):
        await _record(conn, tenant_id, actor, "directory.put", kind, tenants.count(tenant_id))


async def _record(
    conn: Connection, tenant_id: str, actor: str, action: str, kind: Kind, count: int, object_id: str = ""
) -> None:
    await append(
        conn,
        tenant_id=tenant_id,
        actor=actor,
        action=action,
        object_type=kind,
        object_id=object_id or tenant_id,
        detail={"count": count},
    )
