"""What both doors may ask: rebuild, cancel, resume, verify, switch, switch back, retire. Each only leaves an order.

The orders are carried out by `projections.rebuild`, wherever its processes run, so an answer here is "ordered" or a
refusal that is certain already; what only Kafka can tell is found out later and stands in the order's `message`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from domain.audit import append
from domain.rebuilds.decisions import (
    STORE_KIND,
    Event,
    Parity,
    Source,
    State,
    next_state,
    refuse_retire,
    refuse_switch,
    version_before,
)
from runtime.ids import uuid7
from runtime.sql import Connection, load_queries
from schemas.errors import NotFound, Rejected

queries = load_queries(__file__, "rebuilds.sql")

Row = Mapping[str, Any]
ERROR_BUDGET = 0.001
BUILT = ("ready", "serving", "standby")


@dataclass(frozen=True, slots=True)
class Person:
    """Who orders, and in which tenant's audit log it stands ('': the installation's)."""

    actor: str
    tenant_id: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """A rebuild as it is asked for. `rate`: records per second of all its processes together."""

    name: str
    source: Source
    trial_tenant: str | None = None
    rate: int | None = None
    workers: int = 1
    error_budget: float = ERROR_BUDGET
    reason: str = ""


async def order_rebuild(conn: Connection, who: Person, wish: Wish) -> Row | Rejected:
    """Order a new version of a table. One that is open already goes on by itself and is named in the refusal."""
    row = await queries.insert_rebuild(
        conn,
        rebuild_id=uuid7(),
        name=wish.name,
        source=wish.source,
        trial_tenant=wish.trial_tenant,
        rate=wish.rate,
        workers=wish.workers,
        error_budget=wish.error_budget,
        ordered_by=who.actor,
        reason=wish.reason,
    )
    if row is None:
        return await _running(conn, wish)
    detail = {"source": wish.source, "trialTenant": wish.trial_tenant, "rate": wish.rate, "workers": wish.workers}
    await _audit(conn, who, "rebuild.order", row["rebuild_id"], wish.reason, {"name": wish.name, **detail})
    return row  # type: ignore[no-any-return]


async def _running(conn: Connection, wish: Wish) -> Rejected:
    row = await queries.find_open_rebuild(conn, name=wish.name, trial_tenant=wish.trial_tenant)
    if row is None:
        return Rejected("RebuildRunning", f"another rebuild of {wish.name} has just ended: order it again")
    how = "resume or cancel it" if row["state"] == "paused" else "it goes on by itself; cancel it to begin anew"
    return Rejected(
        "RebuildRunning",
        f"rebuild {row['rebuild_id']} of {wish.name} is {row['state']}: {how}",
        {"rebuildId": str(row["rebuild_id"])},
    )


async def find_rebuild(conn: Connection, rebuild_id: UUID) -> Row:
    """One rebuild. Raises NotFound."""
    row = await queries.find_rebuild(conn, rebuild_id=rebuild_id)
    if row is None:
        raise NotFound(f"rebuild {rebuild_id} does not exist: `casestream projection status` shows those that do")
    return row  # type: ignore[no-any-return]


async def list_rebuilds(
    conn: Connection, name: str | None = None, after: tuple[datetime, UUID] | None = None, most: int = 50
) -> list[Row]:
    """Rebuilds, newest first."""
    at, last = after or (None, None)
    return await queries.list_rebuilds(conn, name=name, after_at=at, after_id=last, most=most)  # type: ignore[no-any-return]


async def move(conn: Connection, rebuild_id: UUID, event: Event, message: str = "") -> Row | Rejected:
    """Move a rebuild by an event, holding its row until the end of the transaction. Raises NotFound."""
    row = await queries.lock_rebuild(conn, rebuild_id=rebuild_id)
    if row is None:
        raise NotFound(f"rebuild {rebuild_id} does not exist")
    state: State = row["state"]
    following = next_state(state, event, row["paused_from"])
    if isinstance(following, Rejected):
        return following
    return await queries.move_rebuild(  # type: ignore[no-any-return]
        conn, rebuild_id=rebuild_id, from_state=state, to_state=following, message=message
    )


async def cancel_rebuild(conn: Connection, who: Person, rebuild_id: UUID, reason: str = "") -> Row | Rejected:
    """Give a rebuild up: what it has built is retired. What readers see does not change."""
    moved = await move(conn, rebuild_id, "cancel", f"cancelled by {who.actor}")
    if isinstance(moved, Rejected):
        return moved
    await _audit(conn, who, "rebuild.cancel", rebuild_id, reason, {"name": moved["name"]})
    if moved["version"] is not None:
        await _insert_order(conn, "retire", moved["name"], moved["version"], who, reason or "its rebuild was cancelled")
    return moved


async def resume_rebuild(conn: Connection, who: Person, rebuild_id: UUID, reason: str = "") -> Row | Rejected:
    """Go on with a paused rebuild. The errors until now are forgiven, and what the store scan parked is tried again."""
    moved = await move(conn, rebuild_id, "resume")
    if not isinstance(moved, Rejected):
        await _audit(conn, who, "rebuild.resume", rebuild_id, reason, {"name": moved["name"], "errors": moved["errors"]})
    return moved


OrderKind = Literal["verify", "switch", "switch-back", "retire"]


async def order_verify(
    conn: Connection, who: Person, name: str, version: int, *, against: int | None = None, whole: bool = False
) -> Row | Rejected:
    """Compare a version with the serving one (or `against`), or (`whole`) with what the store says. Raises NotFound."""
    versions = await _versions(conn, name)
    if (state := _one(versions, name, version)["state"]) not in BUILT:
        return Rejected("VersionNotReady", f"version {version} of {name} is {state}: there is nothing to compare yet")
    serving = next(iter(versions.values()))["serving_version"]
    other = against if against is not None else serving
    if whole and next(iter(versions.values()))["kind"] != STORE_KIND:
        return Rejected("NothingToCompareWith", f"{name} is not made of case snapshots, so no store holds its history")
    if not whole and (other is None or other == version):
        return Rejected("NothingToCompareWith", f"version {version} of {name} has no other version beside it to compare with")
    if not whole and other is not None:
        _one(versions, name, other)
    return await _insert_order(conn, "verify", name, version, who, "", against=None if whole else other, whole=whole)


async def order_switch(conn: Connection, who: Person, name: str, version: int, reason: str = "") -> Row | Rejected:
    """Let the view show this version. Needs a parity of the last hour, or a reason. Raises NotFound."""
    if refused := await refuse_switching(conn, name, version, reason):
        return refused
    return await _insert_order(conn, "switch", name, version, who, reason)


async def refuse_switching(conn: Connection, name: str, version: int, reason: str) -> Rejected | None:
    """Why the view must not show this version now. Raises NotFound."""
    judged = await judge_switching(conn, name, version, reason)
    return judged if isinstance(judged, Rejected) else None


@dataclass(frozen=True, slots=True)
class Allowed:
    """A switch may be. `while_serving`: only as long as this version serves, the one that was compared with; None: a reason
    stands in for the comparison, or nothing serves yet."""

    while_serving: int | None


async def judge_switching(conn: Connection, name: str, version: int, reason: str) -> Rejected | Allowed:
    """Whether the view may show this version. Raises NotFound."""
    row = _one(await _versions(conn, name), name, version)
    parity = await queries.find_parity(conn, name=name, version=version)
    found = None if parity is None else Parity(parity["against"], parity["verdict"], parity["compared_at"])
    now = await queries.database_time(conn)
    refused = refuse_switch(version, row["state"], row["trial_tenant"], row["serving_version"], found, reason, now)
    return refused or Allowed(None if reason else row["serving_version"])


async def order_switch_back(conn: Connection, who: Person, name: str, reason: str = "") -> Row | Rejected:
    """Let the view show the version that it showed before. Needs no parity: it has never stopped. Raises NotFound."""
    former = await _former(conn, name)
    if isinstance(former, Rejected):
        return former
    return await _insert_order(conn, "switch-back", name, former, who, reason)


async def refuse_switching_back(conn: Connection, name: str) -> Rejected | None:
    """Why there is no version to go back to. Raises NotFound."""
    former = await _former(conn, name)
    return former if isinstance(former, Rejected) else None


async def _former(conn: Connection, name: str) -> int | Rejected:
    return version_before([version for version, row in (await _versions(conn, name)).items() if row["state"] == "standby"])


async def order_retire(conn: Connection, who: Person, name: str, version: int, reason: str = "") -> Row | Rejected:
    """Drop a version's tables and forget its group. Raises NotFound."""
    if refused := await refuse_retiring(conn, name, version):
        return refused
    return await _insert_order(conn, "retire", name, version, who, reason)


async def refuse_retiring(conn: Connection, name: str, version: int) -> Rejected | None:
    """Why the version must stay. Raises NotFound."""
    row = _one(await _versions(conn, name), name, version)
    open_ones = await queries.list_open_rebuilds(conn)
    rebuilding = any((one["name"], one["version"]) == (name, version) for one in open_ones)
    return refuse_retire(version, row["state"], rebuilding)


async def find_order(conn: Connection, order_id: UUID) -> Row:
    """One order of a version. Raises NotFound."""
    row = await queries.find_order(conn, order_id=order_id)
    if row is None:
        raise NotFound(f"order {order_id} does not exist")
    return row  # type: ignore[no-any-return]


async def list_orders(conn: Connection, name: str, version: int | None = None, most: int = 20) -> Sequence[Row]:
    """What was ordered about a table's versions, newest first."""
    return await queries.list_orders(conn, name=name, version=version, most=most)  # type: ignore[no-any-return]


async def _versions(conn: Connection, name: str) -> dict[int, Row]:
    rows = await queries.find_versions(conn, name=name)
    if not rows:
        raise NotFound(f"table {name} does not exist: `casestream projection list` shows those that do")
    return {row["version"]: row for row in rows}


def _one(versions: Mapping[int, Row], name: str, version: int) -> Row:
    if version not in versions:
        raise NotFound(f"version {version} of {name} does not exist; there are {', '.join(map(str, sorted(versions)))}")
    return versions[version]


async def _insert_order(
    conn: Connection,
    kind: OrderKind,
    name: str,
    version: int,
    who: Person,
    reason: str,
    *,
    against: int | None = None,
    whole: bool = False,
) -> Row:
    """The order; the one that is open already where there is one."""
    row = await queries.insert_order(
        conn,
        order_id=uuid7(),
        kind=kind,
        name=name,
        version=version,
        against=against,
        whole=whole,
        requested_by=who.actor,
        reason=reason,
    )
    if row is None:
        return await queries.find_open_order(conn, name=name, version=version, kind=kind, whole=whole)  # type: ignore[no-any-return]
    await _audit(conn, who, f"projection.{kind}", row["order_id"], reason, {"name": name, "version": version})
    return row  # type: ignore[no-any-return]


async def _audit(
    conn: Connection, who: Person, action: str, object_id: UUID, reason: str, detail: Mapping[str, object]
) -> None:
    await append(
        conn,
        tenant_id=who.tenant_id,
        actor=who.actor,
        action=action,
        object_type="rebuild" if action.startswith("rebuild.") else "table-version",
        object_id=str(object_id),
        reason=reason or None,
        detail=detail,
    )
