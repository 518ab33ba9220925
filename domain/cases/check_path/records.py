"""Real records of a class, decrypted for a check: of the caller's tenant only, each read in the audit log before it is shown.

A shredded subject's records, and those whose key or bytes do not open, are left out and counted.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.audit import append
from domain.keys.guard import hold_subjects
from runtime.keys.ring import KeyRing
from runtime.snapshots import Context, key_id_of, open_sealed
from runtime.sql import Connection, load_queries
from schemas.caller import Caller
from schemas.errors import DecryptionFailed

queries = load_queries(__file__)

MOST_RECORDS = 1_000
MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sealed:
    """A record as it is stored."""

    case_id: str
    version: int
    subject_id: str
    stored_at: datetime
    snapshot: bytes = field(repr=False)
    key_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A record that could be opened."""

    case_id: str
    version: int
    stored_at: datetime
    document: bytes = field(repr=False)


async def read_sealed(
    conn: Connection, tenant_id: str, class_name: str, case_id: str | None
) -> tuple[Sealed | None, list[Sealed]]:
    """The chosen record, if a case is named, and the class's newest ones; the first of them is the sample."""
    rows = await queries.list_newest_records(
        conn, tenant_id=tenant_id, class_name=class_name, most_records=MOST_RECORDS, most_bytes=MOST_BYTES
    )
    newest = [_sealed(row) for row in rows]
    if case_id is None:
        return (newest[0] if newest else None), newest
    row = await queries.find_record(conn, tenant_id=tenant_id, class_name=class_name, case_id=case_id)
    return (None if row is None else _sealed(row)), newest


async def warm_keys(keys: KeyRing, tenant_id: str, records: Sequence[Sealed]) -> None:
    """Let the ring fetch what it will be asked for inside the transaction: a provider may be far away."""
    await keys.secrets(_places(tenant_id, records))


async def open_records(
    conn: Connection,
    keys: KeyRing,
    caller: Caller,
    class_name: str,
    records: Sequence[Sealed],
    *,
    reason: str,
    detail: dict[str, object],
) -> list[Record | None]:
    """The records in their order, None for what cannot be opened. Audited in the same transaction."""
    subjects = sorted({(caller.tenant_id, record.subject_id) for record in records})
    shredded = await hold_subjects(conn, subjects)
    legible = [record for record in records if (caller.tenant_id, record.subject_id) not in shredded]
    secrets = await keys.secrets(_places(caller.tenant_id, legible))
    opened = await asyncio.to_thread(_open_all, caller.tenant_id, class_name, legible, secrets)
    await append(
        conn,
        tenant_id=caller.tenant_id,
        actor=caller.user_id,
        action="case.path-checked",
        object_type="case_class",
        object_id=class_name,
        reason=reason,
        detail={**detail, "records": len(opened)},
    )
    return [opened.get(record.case_id) for record in records]


def _open_all(tenant_id: str, class_name: str, records: Sequence[Sealed], secrets: dict[UUID, bytes]) -> dict[str, Record]:
    opened = {}
    for record in records:
        secret = secrets.get(record.key_id) if record.key_id is not None else None
        if secret is None or record.key_id is None:
            continue
        context = Context(tenant_id, class_name, record.case_id, record.version, record.subject_id, record.key_id)
        try:
            document = open_sealed(secret, context, record.snapshot)
        except DecryptionFailed:
            continue
        opened[record.case_id] = Record(record.case_id, record.version, record.stored_at, document)
    return opened


def _places(tenant_id: str, records: Sequence[Sealed]) -> list[tuple[str, str, UUID]]:
    return [(tenant_id, record.subject_id, record.key_id) for record in records if record.key_id is not None]


def _sealed(row: Any) -> Sealed:
    try:
        key_id: UUID | None = key_id_of(row["snapshot"])
    except DecryptionFailed:
        key_id = None
    return Sealed(row["case_id"], row["version"], row["subject_id"], row["stored_at"], row["snapshot"], key_id)
