"""Real records of a class, decrypted for a check: of the caller's tenant only, each read in the audit log before it is shown.

A shredded subject's records, and those whose key or bytes do not open, are left out and counted.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.audit import append
from domain.cases.sealing import Keys, StoredSnapshot, open_document
from domain.keys.guard import hold_subjects
from runtime.keys.ring import KeyPlace
from runtime.sql import Connection, load_queries
from schemas.caller import Caller
from schemas.errors import DecryptionFailed

queries = load_queries(__file__)

MOST_RECORDS = 1_000
MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it is stored, and its document once it is opened."""

    stored: StoredSnapshot
    stored_at: datetime
    document: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Records:
    """The record to show, and the newest ones to count over; the sample is the first of them."""

    shown: Record | None
    newest: Sequence[Record]

    @property
    def all(self) -> list[Record]:
        return [*([self.shown] if self.shown else []), *self.newest]


async def read_records(conn: Connection, tenant_id: str, class_name: str, case_id: str | None) -> Records:
    """The case's newest version, or without a case the class's newest record; and the newest of the class. Still sealed."""
    rows = await queries.list_newest_records(
        conn, tenant_id=tenant_id, class_name=class_name, most_records=MOST_RECORDS, most_bytes=MOST_BYTES
    )
    newest = [_record(tenant_id, class_name, row) for row in rows]
    if case_id is None:
        return Records(newest[0] if newest else None, newest)
    row = await queries.find_record(conn, tenant_id=tenant_id, class_name=class_name, case_id=case_id)
    return Records(None if row is None else _record(tenant_id, class_name, row), newest)


async def warm_keys(keys: Keys, records: Records) -> None:
    """Let the ring fetch before the transaction what it is asked for inside: a provider may be far away."""
    await keys.secrets(_places(records.all))


async def open_records(
    conn: Connection,
    keys: Keys,
    caller: Caller,
    class_name: str,
    records: Records,
    *,
    reason: str,
    detail: Mapping[str, object],
) -> Records:
    """The records with the documents that could be opened, in a transaction that holds their subjects. Audited in it."""
    subjects = sorted({(record.stored.tenant_id, record.stored.subject_id) for record in records.all})
    shredded = await hold_subjects(conn, subjects)
    legible = [record for record in records.all if (caller.tenant_id, record.stored.subject_id) not in shredded]
    secrets = await keys.secrets(_places(legible))
    # Megabytes of AES are milliseconds in which the loop would stand still.
    opened = await asyncio.to_thread(_open_all, legible, secrets)
    await append(
        conn,
        tenant_id=caller.tenant_id,
        actor=caller.user_id,
        action="case.path-checked",
        object_type="case_class",
        object_id=class_name,
        reason=reason,
        detail={**detail, "records": len(opened), "case_id": records.shown and records.shown.stored.case_id},
    )
    shown = records.shown and opened.get(_identity(records.shown), records.shown)
    return Records(shown, [opened.get(_identity(record), record) for record in records.newest])


def _open_all(records: Sequence[Record], secrets: Mapping[UUID, bytes]) -> dict[tuple[str, int], Record]:
    opened = {}
    for record in records:
        try:
            document = open_document(record.stored, secrets)
        except DecryptionFailed:
            continue
        opened[_identity(record)] = Record(record.stored, record.stored_at, document)
    return opened


def _identity(record: Record) -> tuple[str, int]:
    return record.stored.case_id, record.stored.version


def _places(records: Sequence[Record]) -> list[KeyPlace]:
    places = []
    for record in records:
        try:
            places.append(record.stored.key_place)
        except DecryptionFailed:
            continue
    return places


def _record(tenant_id: str, class_name: str, row: Any) -> Record:
    stored = StoredSnapshot(tenant_id, row["case_id"], class_name, row["subject_id"], row["version"], row["snapshot"])
    return Record(stored, row["stored_at"])
