"""Orders to the owner role: make a version's tables, move the view, retire a version. Queued by anybody, run by one job.

    waiting -> approved -> executed
         `--------`-----> refused (a reason that stays)

An order carries no SQL that is ever run: the job makes the statements anew from the pinned spec and runs them only when
their hash is the one that was approved. A new mapping's `create` needs somebody's approval by hash; switches, retirements,
built-in tables and a mapping that was approved once before are the fixed statements that DESIGN section 9 allows. In
development everything is approved automatically. Runs as cs_migrate; never in a request.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from domain.audit import append
from domain.cases.mapping.tables import TableSpec
from projections import ddl
from projections.versions import TableVersion, find_version, list_versions, set_state
from projections.versions import queries as catalogue
from runtime.ids import uuid7
from runtime.postgres import is_transient
from runtime.sql import Connection, load_queries
from schemas.errors import NotFound

queries = load_queries(__file__)

OwnerConnection = asyncpg.Connection | PoolConnectionProxy
Kind = Literal["create", "switch", "retire"]
AUTOMATIC = "automatic"
# A retired version's consumers have seen it by then and left.
LEAVE_SECONDS = 5.0
# A version is retired once: where somebody's view stands on its table, the drop waits until that view is gone.
_STOOD_ON = asyncpg.DependentObjectsStillExistError


class Refused(Exception):
    """The order cannot be done, now or later; the text says why."""


class NotYet(Exception):
    """The order is tried again in the next round."""


_PASSING = (NotYet, asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)


@dataclass(frozen=True, slots=True)
class Executed:
    """What was done with one open order in a round."""

    kind: Kind
    name: str
    version: int
    state: Literal["waiting", "executed", "refused", "put off"]
    error: str = ""


async def order(
    conn: Connection,
    kind: Kind,
    name: str,
    version: int,
    *,
    by: str,
    reason: str = "",
    while_serving: int | None = None,
) -> UUID:
    """Queue it, or the id of the open order of the same kind. `while_serving`: a switch is refused when another version than
    this one serves by then; None: whichever does. Raises NotFound, ValueError for a spec that lint refuses."""
    found = await find_version(conn, name, version)
    statements = fixed_statements(kind, found)
    order_id = await queries.insert_order(
        conn,
        order_id=uuid7(),
        kind=kind,
        name=name,
        version=version,
        statement=ddl.text_of(statements),
        sha256=ddl.digest(statements),
        reason=reason,
        requested_by=by,
        while_serving=while_serving,
    )
    if order_id is None:
        order_id = await queries.find_open_order(conn, name=name, version=version, kind=kind)
    return UUID(str(order_id))


async def approve(conn: Connection, sha256: str, *, by: str) -> list[str]:
    """Approve what waits under this hash; the labels of the versions. As cs_migrate only. Raises NotFound."""
    rows = await queries.approve_orders(conn, sha256=sha256, approved_by=by)
    if not rows:
        raise NotFound(f"no statement with hash {sha256[:80]} waits for approval: `casestream ddl list` shows what does")
    for row in rows:
        await append(
            conn,
            tenant_id="",
            actor=by,
            action="ddl.approved",
            object_type="table-version",
            object_id=f"{row['name']}.v{row['version']}",
            reason=sha256,
        )
    return [f"{row['name']}.v{row['version']}" for row in rows]


async def execute_open(conn: OwnerConnection, *, development: bool) -> list[Executed]:
    """One round over the open orders, each in a transaction of its own. Connection of cs_migrate."""
    async with conn.transaction():
        orders = await queries.lock_open_orders(conn)
    return [await _execute(conn, order, development) for order in orders]


async def _execute(conn: OwnerConnection, order: Mapping[str, Any], development: bool) -> Executed:
    version = await find_version(conn, order["name"], order["version"])
    kind: Kind = order["kind"]
    if order["state"] == "waiting":
        if not (development or await _is_fixed(conn, kind, version)):
            return Executed(kind, version.name, version.version, "waiting")
        await queries.approve_order(conn, order_id=order["order_id"], approved_by=AUTOMATIC)
    try:
        async with conn.transaction():
            await queries.begin_ddl(conn)
            await _do(conn, kind, version, order)
            await queries.finish_order(conn, order_id=order["order_id"])
    except Exception as error:
        put_off = isinstance(error, _PASSING) or (kind == "retire" and isinstance(error, _STOOD_ON))
        if not put_off and (is_transient(error) or not isinstance(error, Refused | ValueError | asyncpg.PostgresError)):
            raise
        text = _said(error)
        await (queries.put_off_order if put_off else queries.refuse_order)(conn, order_id=order["order_id"], error=text)
        return Executed(kind, version.name, version.version, "put off" if put_off else "refused", text)
    return Executed(kind, version.name, version.version, "executed")


def _said(error: Exception) -> str:
    if isinstance(error, NotYet | Refused | ValueError):
        return str(error)
    # Who stands on a table is told in the detail alone.
    detail = getattr(error, "detail", None) if isinstance(error, _STOOD_ON) else None
    return f"{type(error).__name__}: {error}" + (f" ({detail})" if detail else "")


async def _is_fixed(conn: Connection, kind: Kind, version: TableVersion) -> bool:
    if kind != "create" or version.kind == "builtin":
        return True
    approved = await queries.list_approved_creates(conn, name=version.name, automatic=AUTOMATIC)
    return any(_is_text_of(version, row["version"], row["sha256"]) for row in approved)


def _is_text_of(version: TableVersion, number: int, sha256: str) -> bool:
    """Whether only the number tells the version's statements from those with this hash. Its own fingerprint proves nothing."""
    try:
        return ddl.digest(ddl.create_statements(spec_of(version), number)) == sha256
    except ValueError:
        return False


async def _do(conn: Connection, kind: Kind, version: TableVersion, order: Mapping[str, Any]) -> None:
    statements = fixed_statements(kind, version)
    if ddl.digest(statements) != order["sha256"]:
        raise Refused("the statements of this release are not those that were ordered: order it again and look at them")
    await _require_serving(conn, version, order["while_serving"])
    await _STEPS[kind](conn, version, statements)


async def _require_serving(conn: Connection, version: TableVersion, expected: int | None) -> None:
    """A comparison says nothing about a version that it has not seen."""
    if expected is None:
        return
    now = await queries.lock_serving(conn, name=version.name)
    if now != expected:
        raise Refused(
            f"version {version.version} was compared with version {expected}, but version {now} serves now:"
            f" verify version {version.version} again, then switch"
        )


async def _create(conn: Connection, version: TableVersion, statements: Sequence[str]) -> None:
    if not await set_state(conn, version.name, version.version, {"planned"}, "building"):
        raise Refused(f"the version is {version.state}; only a planned one is made")
    for statement in statements:
        await conn.execute(statement)


async def serve(conn: Connection, version: TableVersion) -> None:
    """Move the views and the catalogue to this version, in the caller's transaction. Raises Refused with what is in the way."""
    if version.trial_tenant is not None:
        raise Refused(
            f"the version holds the rows of tenant {version.trial_tenant} only; every other would find the table empty"
        )
    for view in await _views(conn, version):
        await _show(conn, view)
    others = await list_versions(conn, version.name, states=["serving"])
    for other in others:
        await set_state(conn, other.name, other.version, {"serving"}, "standby")
    if not await set_state(conn, version.name, version.version, {"building", "ready", "standby"}, "serving"):
        raise Refused(f"the version is {version.state}; only one that is built can serve")
    await catalogue.set_serving(conn, name=version.name, version=version.version)
    for leftover in await _left_views(conn, version, others):
        await conn.execute(leftover)


async def _switch(conn: Connection, version: TableVersion, statements: Sequence[str]) -> None:
    await serve(conn, version)


async def _retire(conn: Connection, version: TableVersion, statements: Sequence[str]) -> None:
    if version.serves or version.state == "serving":
        raise Refused("the version serves: switch to another one first")
    if version.state != "retired":
        raise Refused(f"the version is {version.state}; it is retired in the catalogue first, then its tables go")
    if await queries.seconds_in_state(conn, name=version.name, version=version.version) < LEAVE_SECONDS:
        raise NotYet("its consumers may still run")
    for statement in statements:
        await conn.execute(statement)
    await queries.forget_group(conn, group_name=version.group.name)


async def _show(conn: Connection, view: ddl.View) -> None:
    """One view over its new version: replaced where that is possible, otherwise made anew with the rights that it had."""
    named = f"{ddl.VIEW_SCHEMA}.{ddl.quote(view.name)}"
    old = [(row["name"], row["type"]) for row in await queries.shown_columns(conn, view=named)]
    table = f"{ddl.SCHEMA}.{ddl.quote(ddl.table_name(view.name, view.version))}"
    types = {row["name"]: row["type"] for row in await queries.column_types(conn, table_name=table)}
    replace = bool(old) and ddl.may_replace(old, [(name, types[name]) for name, _ in view.columns])
    rights: list[str] = []
    if old and not replace:
        await _refuse_dependents(conn, named)
        rights = kept_rights(view, [ddl.Right(**row) for row in await queries.list_rights(conn, view=named)])
    for statement in (*view.statements(replace=replace), *rights):
        await conn.execute(statement)


def kept_rights(view: ddl.View, rights: Sequence[ddl.Right]) -> list[str]:
    """The statements that give back what a view made anew would lose. Raises Refused with what cannot be given back."""
    named = f"{ddl.VIEW_SCHEMA}.{ddl.quote(view.name)}"
    if handed := [f"{right.role} from {right.given_by}" for right in rights if right.given_by]:
        raise Refused(f"rights to {named} were handed on ({', '.join(handed)}): revoke them, switch, then hand them on again")
    shown = {name for name, _ in view.columns}
    if lost := [f"{right.role} on {right.column_name}" for right in rights if right.column_name not in (None, *shown)]:
        raise Refused(f"columns of {named} go to which somebody has a right ({', '.join(lost)}): revoke it, then switch")
    return [right.statement(ddl.view_place(view.name)) for right in rights]


async def _refuse_dependents(conn: Connection, named: str) -> None:
    if dependents := [row["name"] for row in await queries.list_dependents(conn, view=named)]:
        raise Refused(f"the columns of {named} change, and {', '.join(dependents)} stand on it: drop them first, then switch")


async def _views(conn: Connection, version: TableVersion) -> list[ddl.View]:
    if version.spec is not None:
        return ddl.views_of(spec_of(version), version.version)
    # A built-in table's view keeps the columns that the migration gave it; every version has them.
    rows = await queries.shown_columns(conn, view=f"{ddl.VIEW_SCHEMA}.{ddl.quote(version.name)}")
    return [ddl.View(version.name, version.version, [(row["name"], row["comment"] or "") for row in rows])]


async def _left_views(conn: Connection, version: TableVersion, others: Sequence[TableVersion]) -> list[str]:
    """Views of child tables that the new version does not have: they would go on showing the old one."""
    if version.spec is None:
        return []
    kept = {view.name for view in ddl.views_of(spec_of(version), version.version)}
    gone = {view.name for other in others if other.spec for view in ddl.views_of(spec_of(other), other.version)} - kept
    for name in sorted(gone):
        await _refuse_dependents(conn, f"{ddl.VIEW_SCHEMA}.{ddl.quote(name)}")
    return [f"drop view if exists {ddl.view_place(name)}" for name in sorted(gone)]


def fixed_statements(kind: Kind, version: TableVersion) -> list[str]:
    """What an order of this kind means for this version, as it is shown, hashed and approved."""
    if version.spec is None:
        create = f"select create_table_version({ddl.literal(version.name)}, {version.version})"
        return {
            "create": [create],
            "switch": _switch_text(version),
            "retire": ddl.retire_statements(version.name, version.version),
        }[kind]
    spec = spec_of(version)
    if kind == "create":
        return ddl.create_statements(spec, version.version)
    return _switch_text(version) if kind == "switch" else ddl.retire_statements(spec, version.version)


def spec_of(version: TableVersion) -> TableSpec:
    """The pinned mapping of a version that has one."""
    assert version.spec is not None, "a built-in table has no spec"
    return TableSpec.from_json(json.loads(version.spec))


def _switch_text(version: TableVersion) -> list[str]:
    if version.spec is None:
        return [f"-- {ddl.view_place(version.name)} shows {ddl.place(version.name, version.version)}, same columns"]
    return [line for view in ddl.views_of(spec_of(version), version.version) for line in view.statements(replace=True)]


_STEPS = {"create": _create, "switch": _switch, "retire": _retire}
