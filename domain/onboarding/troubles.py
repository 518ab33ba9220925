"""Incidents of instances: lists, and the order to try all of one cause again, with an honest answer for each (WF-15).

Each instance is retried in a transaction of its own, so what is said of one holds whatever happens to the others.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from domain.incidents.resolve import IncidentRow, RetryHandler
from domain.onboarding.engine import Engine
from domain.onboarding.performing import OBJECT
from domain.onboarding.persisting import NOT_PERSISTED, persist_again
from domain.onboarding.supervising import retry
from domain.onboarding.turn import Outcome
from runtime.sql import Connection, load_queries
from schemas.caller import Caller
from schemas.errors import ConcurrencyConflict, NotFound, Rejected, TransientError

queries = load_queries(Path(__file__).with_name("troubles.sql"))

Row = dict[str, Any]
Kind = Literal["step-failed", "compensation-failed", "case-not-persisted"]
KINDS: tuple[Kind, ...] = ("step-failed", "compensation-failed", NOT_PERSISTED)
# What became of one: tried again; not, and why; or not reached, since the database went away before.
Result = Literal["retried", "refused", "failed", "not-tried"]
Ordered = Callable[[Connection], Awaitable[Outcome]]
Within = Callable[[Ordered], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Tried:
    """One instance of a bulk order. `code` and `message`: why it was not retried."""

    incident_id: UUID
    instance_id: str
    result: Result
    code: str | None = None
    message: str | None = None


async def list_incidents(
    conn: Connection, tenant_id: str, *, state: str = "open", after: tuple[datetime, UUID] | None = None, size: int = 50
) -> list[Row]:
    """A page of the tenant's incidents about instances, latest sighting first."""
    seen, id_ = after or (None, None)
    rows = await queries.list_incidents(
        conn, tenant_id=tenant_id, object_type=OBJECT, state=state, before_seen=seen, before_id=id_, size=size
    )
    return [_row(row) for row in rows]


async def list_alike(
    conn: Connection, tenant_id: str, *, kind: Kind, fingerprint: str, after: str | None = None, size: int = 50
) -> list[Row]:
    """Open incidents of one kind and cause, by instance."""
    named = {"tenant_id": tenant_id, "object_type": OBJECT, "kind": kind, "fingerprint": fingerprint}
    return [_row(row) for row in await queries.list_open_alike(conn, **named, after=after, size=size)]


async def list_open_of(conn: Connection, tenant_id: str, instance_id: str) -> list[Row]:
    """Open incidents of one instance."""
    rows = await queries.list_open_of(conn, tenant_id=tenant_id, object_type=OBJECT, instance_id=instance_id)
    return [_row(row) for row in rows]


async def retry_all(rows: Sequence[Row], within: Within, engine: Engine, caller: Caller, reason: str) -> list[Tried]:
    """Try these again, one after the other; `within` runs an order in a transaction of its own."""
    found: list[Tried] = []
    for number, row in enumerate(rows):
        try:
            found.append(await _retried(row, within, engine, caller, reason))
        except TransientError:
            away = "the database does not answer; whether this one was retried is unknown, look at it"
            found.append(_tried(row, "failed", "TemporarilyUnavailable", away))
            rest = "the database went away before; repeat the order"
            return found + [_tried(other, "not-tried", "TemporarilyUnavailable", rest) for other in rows[number + 1 :]]
    return found


async def _retried(row: Row, within: Within, engine: Engine, caller: Caller, reason: str) -> Tried:
    async def ordered(conn: Connection) -> Outcome:
        return await _try_again(conn, engine, caller, row["kind"], row["instance_id"], reason)

    try:
        outcome = await within(ordered)
    except TransientError:
        raise
    except ConcurrencyConflict:
        return _tried(row, "refused", "ConflictState", "somebody else moved the instance at the same time")
    except NotFound as error:
        return _tried(row, "refused", "InstanceNotFound", str(error))
    except Exception as error:  # noqa: BLE001 - a row that does not fold must not keep the others from their retry
        return _tried(row, "failed", "InternalError", f"{type(error).__name__} was raised; replay the instance")
    if isinstance(outcome, Rejected):
        return _tried(row, "refused", outcome.code, outcome.message)
    return _tried(row, "retried")


def retry_handlers(engine: Engine) -> dict[str, RetryHandler]:
    """How one incident of an instance is tried again, by kind."""

    async def handler(conn: Connection, incident: IncidentRow, actor: str) -> str:
        caller = Caller(incident["tenant_id"], actor, frozenset({"operator"}), "CRM_UI")
        named = incident["kind"], incident["object_id"], f"incident {incident['incident_id']}"
        outcome = await _try_again(conn, engine, caller, *named)
        if isinstance(outcome, Rejected):
            return f"refused: {outcome.message}"
        done = "has stored its case" if incident["kind"] == NOT_PERSISTED else f"tries again and is {outcome.instance.status}"
        return f"instance {incident['object_id']} {done}"

    return dict.fromkeys(KINDS, handler)


async def _try_again(conn: Connection, engine: Engine, caller: Caller, kind: str, instance_id: str, reason: str) -> Outcome:
    """What retrying this kind of trouble is."""
    if kind == NOT_PERSISTED:
        return await persist_again(conn, engine, caller.tenant_id, instance_id)
    return await retry(conn, engine, caller, instance_id, reason)


def _tried(row: Mapping[str, Any], result: Result, code: str | None = None, message: str | None = None) -> Tried:
    return Tried(row["incident_id"], row["instance_id"], result, code, message)


def _row(record: Any) -> Row:
    return {**dict(record), "detail": json.loads(record["detail"])}
