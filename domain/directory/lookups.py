"""Who may be named: active tenants and active users, asked for in one statement per batch, under the caller's tenants."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from runtime.sql import Connection, load_queries

queries = load_queries(Path(__file__).with_name("directory.sql"))


@dataclass(frozen=True, slots=True)
class People:
    """What the directory says about the tenants and users that a batch names. Who was not asked for is unknown."""

    active_tenants: frozenset[str] = frozenset()
    users: Mapping[tuple[str, str], bool] = field(default_factory=dict)

    def is_active(self, tenant_id: str, user_id: str | None) -> bool | None:
        """True or False for a known user, None for an unknown one."""
        return None if user_id is None else self.users.get((tenant_id, user_id))


async def look_up(conn: Connection, wanted: Iterable[tuple[str, str | None]]) -> tuple[People, datetime | None]:
    """The wanted (tenant, user) pairs, a user of None asks for the tenant only; and the database's time.

    A tenant that row level security hides counts as unknown. Nothing wanted: nothing is asked, and there is no time.
    """
    pairs = list(dict.fromkeys(wanted))
    if not pairs:
        return People(), None
    rows = await queries.look_up_people(conn, tenant_ids=[tenant for tenant, _ in pairs], user_ids=[user for _, user in pairs])
    tenants = frozenset(row["tenant_id"] for row in rows if row["tenant_active"])
    users = {(row["tenant_id"], row["user_id"]): row["user_active"] for row in rows if row["user_active"] is not None}
    return People(tenants, users), rows[0]["now"]


async def members_of(conn: Connection, teams: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    """The members of those of these (tenant, team) that are active, in the order of their ids."""
    found: dict[tuple[str, str], list[str]] = {}
    if teams:
        named = {"tenant_ids": [tenant for tenant, _ in teams], "team_ids": [team for _, team in teams]}
        for row in await queries.list_members(conn, **named):
            found.setdefault((row["tenant_id"], row["team_id"]), []).append(row["user_id"])
    return found
