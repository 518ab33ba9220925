"""The store of cases: locks heads in one order, appends versions, moves heads. Snapshots are sealed before they come here.

Single is a batch of one. Never begins or commits, never decides, never sees a key or a document.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import orjson

from domain.cases.case import Case
from domain.cases.sealing import Sealed
from runtime.sql import Connection, load_queries
from schemas.errors import ConcurrencyConflict

queries = load_queries(__file__)

# (tenant, case id)
CaseKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """A case's head, locked (None: there is no case), whether its tenant is active, and the database's time."""

    case: Case | None
    tenant_active: bool
    now: datetime


async def lock_cases(conn: Connection, wanted: Iterable[CaseKey]) -> dict[CaseKey, Found]:
    """Every wanted case, those that exist locked until the transaction ends."""
    keys = sorted(set(wanted))
    rows = await queries.lock_cases(conn, tenant_ids=[key[0] for key in keys], case_ids=[key[1] for key in keys])
    return {(row["tenant_id"], row["case_id"]): Found(_case_of(row), row["tenant_active"], row["now"]) for row in rows}


async def find_subjects(conn: Connection, wanted: Iterable[CaseKey]) -> dict[CaseKey, str]:
    """The subjects of those wanted cases that exist, without a lock."""
    keys = sorted(set(wanted))
    if not keys:
        return {}
    rows = await queries.find_subjects(conn, tenant_ids=[key[0] for key in keys], case_ids=[key[1] for key in keys])
    return {(row["tenant_id"], row["case_id"]): row["subject_id"] for row in rows}


async def write_versions(conn: Connection, sealed: Sequence[Sealed]) -> None:
    """Append these versions and move each head to its last one.

    Raises ConcurrencyConflict when a new case was made by somebody else, or a head moved since the load; the transaction is
    whole after it, but nothing of these versions is in it only if the caller rolls back.
    """
    if not sealed:
        return
    await _write_heads(conn, sealed)
    rows = [_row(one) for one in sealed]
    await queries.insert_snapshots(conn, **dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True)))


async def _write_heads(conn: Connection, sealed: Sequence[Sealed]) -> None:
    first = {_key(one): one.composed.decided.before for one in reversed(sealed)}
    last = {_key(one): one.case for one in sealed}
    new = [asdict(last[key]) for key, before in first.items() if before is None]
    if new and await queries.insert_cases(conn, cases=_json(new)) != len(new):
        raise ConcurrencyConflict("no such case yet", "one that somebody else just made")
    moved = [asdict(last[key]) | {"loaded": before.version} for key, before in first.items() if before is not None]
    if moved and await queries.update_cases(conn, cases=_json(moved)) != len(moved):
        raise ConcurrencyConflict([row["loaded"] for row in moved], "a newer one")


def _key(one: Sealed) -> CaseKey:
    return (one.case.tenant_id, one.case.case_id)


def _row(one: Sealed) -> tuple[Any, ...]:
    case = one.case
    return (
        case.tenant_id,
        case.case_id,
        case.version,
        case.class_name,
        case.subject_id,
        case.removed,
        one.snapshot,
        case.updated_at,
        case.updated_by,
        one.composed.decided.caller.source,
    )


def _case_of(row: Any) -> Case | None:
    return None if row["version"] is None else Case(*(row[name] for name in _HEAD))


def _json(rows: Sequence[dict[str, Any]]) -> str:
    return orjson.dumps(rows).decode()


_HEAD = tuple(field.name for field in fields(Case))
_COLUMNS = (
    *("tenant_ids", "case_ids", "versions", "class_names", "subject_ids", "removed", "snapshots"),
    *("stored_at", "stored_by", "sources"),
)
