"""ASSIGN_TO: who gets the entity (RU-11, trap 35). The last one of each circle is stored and locked while the next is chosen.

So two runs at once take turns, and a delivery that comes again finds its run and chooses nobody. A circle is a team, shared
by all rules that name it, or one action's own list of users.

A transaction may choose several times, as one action falls due behind another. So that no two of them wait for each other, it
locks every circle that its runs may still come to at the beginning, with the runs, in one order (`hold`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.directory.lookups import members_of
from domain.effects.effect import ClaimedEffect
from domain.effects.store import find_unfinished
from domain.rules.run_store import hold_runs
from domain.rules.starting import OWNER
from domain.rules.turns import next_in_turn
from runtime.sql import Connection, load_queries

queries = load_queries(__file__)
# What domain/rules/requests.py calls an assignment.
KIND = "assign"


@dataclass(frozen=True, slots=True)
class Circle:
    """Who takes turns: a team's members in the order of their ids, or listed users in the order of the list."""

    tenant_id: str
    name: str
    team_id: str | None
    user_ids: tuple[str, ...]
    direct: bool = False


async def hold(conn: Connection, runs: Sequence[tuple[str, str]]) -> None:
    """Lock these runs (tenant, id), then the circles of all their assignments that have no outcome yet."""
    await hold_runs(conn, runs)
    effects = await find_unfinished(conn, [(tenant, OWNER, run_id) for tenant, run_id in runs], KIND)
    turning = {circle for effect in effects if effect.request is not None and not (circle := _circle(effect)).direct}
    if turning:
        await _lock(conn, _in_order(turning))


async def choose(conn: Connection, effects: Sequence[ClaimedEffect]) -> dict[UUID, str | None]:
    """Per effect the user, or None where nobody is active. Circles are locked in one order."""
    circles = {effect.id: _circle(effect) for effect in effects}
    wanted = _in_order(circles.values())
    turning = [circle for circle in wanted if not circle.direct]
    last = {**dict.fromkeys(wanted), **await _lock(conn, turning)}
    members = await _members(conn, wanted)
    chosen: dict[UUID, str | None] = {}
    for effect in effects:
        circle = circles[effect.id]
        order, active = members[circle]
        user = next_in_turn(order, active, last[circle])
        chosen[effect.id] = user
        last[circle] = user or last[circle]
    await queries.save_circles(
        conn,
        tenant_ids=[circle.tenant_id for circle in turning],
        names=[circle.name for circle in turning],
        users=[last[circle] for circle in turning],
    )
    return chosen


def _in_order(circles: Iterable[Circle]) -> list[Circle]:
    return sorted(set(circles), key=lambda circle: (circle.tenant_id, circle.name))


def _circle(effect: ClaimedEffect) -> Circle:
    told: Mapping[str, Any] = effect.request or {}
    if told["assignmentType"] == "DIRECT" and told.get("userId"):
        return Circle(effect.tenant_id, f"user|{told['userId']}", None, (told["userId"],), direct=True)
    if told.get("userIds"):
        users = tuple(dict.fromkeys(told["userIds"]))
        return Circle(effect.tenant_id, f"rule|{told['ruleId']}|{effect.index}", None, users)
    return Circle(effect.tenant_id, f"team|{told['teamId']}", told["teamId"], ())


async def _lock(conn: Connection, circles: Sequence[Circle]) -> dict[Circle, str | None]:
    named = {"tenant_ids": [circle.tenant_id for circle in circles], "names": [circle.name for circle in circles]}
    await queries.make_circles(conn, **named)
    rows = await queries.lock_circles(conn, **named)
    last = {(row["tenant_id"], row["name"]): row["last_user"] for row in rows}
    return {circle: last[circle.tenant_id, circle.name] for circle in circles}


async def _members(conn: Connection, circles: Sequence[Circle]) -> dict[Circle, tuple[Sequence[str], frozenset[str]]]:
    teams = {circle: (circle.tenant_id, circle.team_id) for circle in circles if circle.team_id is not None}
    of_teams = await members_of(conn, sorted(set(teams.values())))
    orders: dict[Circle, list[str]] = {
        circle: [*circle.user_ids, *(of_teams.get(teams[circle], ()) if circle in teams else ())] for circle in circles
    }
    pairs = sorted({(circle.tenant_id, user) for circle, users in orders.items() for user in users})
    rows = await queries.list_active(conn, tenant_ids=[tenant for tenant, _ in pairs], user_ids=[user for _, user in pairs])
    active = {(row["tenant_id"], row["user_id"]) for row in rows}
    return {
        circle: (users, frozenset(user for user in users if (circle.tenant_id, user) in active))
        for circle, users in orders.items()
    }
