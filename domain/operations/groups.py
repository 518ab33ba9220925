"""A group's switch and the overview of all groups: what `casestream group` shows and does."""

from collections.abc import Mapping
from typing import Any

from domain.audit import append
from domain.operations.endings import close
from runtime.sql import Connection, load_queries
from schemas.registry import GROUPS, Group, projection_group

queries = load_queries(__file__, "operations.sql")


async def known_groups(conn: Connection) -> dict[str, Group]:
    """The registry's groups and those of the table versions that the catalogue has, by name; without retired versions.

    The one place where the two are joined: whoever lists groups asks here.
    """
    found = dict(GROUPS)
    for row in await queries.list_version_groups(conn):
        group = projection_group(row["name"], row["version"], tuple(row["topics"]))
        if row["state"] == "retired":
            found.pop(group.name, None)
        else:
            found[group.name] = group
    return found


async def list_groups(conn: Connection) -> list[Mapping[str, Any]]:
    """Every known group or with anything in the tables: state, reason, counts of what is set aside."""
    return await queries.list_groups(conn, registered=list(await known_groups(conn)))  # type: ignore[no-any-return]


async def stop(conn: Connection, group: str, *, actor: str, reason: str) -> None:
    """Its members hold within a second: they stay members and fetch nothing; orders to redrive are still done."""
    await _switch(conn, group, "stopped", actor, reason)


async def resume(conn: Connection, group: str, *, actor: str, reason: str | None = None) -> None:
    """Its members go on within a second; the incident of a group that had stopped itself is closed."""
    await _switch(conn, group, "running", actor, reason or "")
    await close(conn, ["group-stopped"], [group], actor=actor, resolution="the group was resumed")


async def _switch(conn: Connection, group: str, state: str, actor: str, reason: str) -> None:
    await queries.set_group_state(conn, group_name=group, state=state, reason=reason)
    action = "group.stop" if state == "stopped" else "group.resume"
    await append(conn, tenant_id="", actor=actor, action=action, object_type="group", object_id=group, reason=reason or None)
