"""`keys shred`: destroy a subject's data keys, so that what is encrypted under them is unreadable wherever it lies.

    1. keys database: ledger row           no process gets or makes a key of the subject
       file: the same line                 known even after a restore of both databases
    2. main database, alone in the bucket: ledger row      whoever holds a cached key is told; writers get 410
    3. keys database: delete the wrapped keys              the ciphertext is noise from here on
    4. main database: purgers in batches until nothing is left, table versions being built included; report

Every step may be repeated and each is reached again from the ledgers: a crash anywhere is resumed by `resume`, which the
leased job of workers/shredder.py calls, on whatever machine. There is no way back after step 1.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from domain.audit import append
from domain.keys.ledgers import enter_keys, enter_main, entry_of, settle, settle_lately
from domain.keys.purge import Purger
from runtime.failpoints import reach
from runtime.keys.ledger_file import LedgerEntry, LedgerFile
from runtime.keys.store import queries as keys_queries
from runtime.postgres import tenants_transaction
from runtime.sql import load_queries

queries = load_queries(__file__)

_UNFINISHED = 100
# No batch takes so long; a command is gone from its topic after seven days, and is read at the latest soon after.
_UNDER_WAY_SECONDS, _IN_TOPICS_SECONDS = 600, 8 * 86_400


@dataclass(frozen=True, slots=True)
class ShredReport:
    """The proof: what was destroyed and deleted where. `purged_at` is None while something is left to do."""

    tenant: str
    subject: str
    shred_id: UUID
    ordered_at: datetime
    requested_by: str
    reason: str
    keys_destroyed_at: datetime | None
    keys_destroyed: int
    purged_at: datetime | None
    rows: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shredder:
    """The places that a shred works on: `worker` is a pool of cs_worker, `keys` one of cs_keys."""

    worker: asyncpg.Pool
    keys: asyncpg.Pool
    file: LedgerFile
    purgers: Sequence[Purger]

    async def shred(self, entry: LedgerEntry) -> ShredReport:
        """All steps. A subject that is shredded already keeps its first entry; what is left to do is done."""
        await self.order(entry)
        await self.finish(entry)
        return await self.report(entry.tenant, entry.subject)

    async def order(self, entry: LedgerEntry) -> None:
        """Steps 1 and 2: after them nobody reads or writes the subject's data."""
        self.file.require_writable()
        await enter_keys(self.keys, [entry])
        await reach("shred.after-keys-ledger")
        self.file.append([entry])
        await reach("shred.after-file")

        async def record(conn: Any) -> None:
            # The first entry stays; only who made it leaves the record of the order.
            if (await queries.find_shred(conn, tenant_id=entry.tenant, subject_id=entry.subject))["shred_id"] == entry.shred_id:
                await _audit(conn, entry, "keys.shred", {"shred_id": str(entry.shred_id)})

        await enter_main(self.worker, [entry], record)
        await reach("shred.after-main-ledger")

    async def finish(self, entry: LedgerEntry) -> None:
        """Steps 3 and 4, for a subject that is in the ledgers."""
        destroyed = await keys_queries.delete_keys(self.keys, tenant_id=entry.tenant, subject_id=entry.subject)
        await reach("shred.after-keys")
        who = {"tenant_id": entry.tenant, "subject_id": entry.subject}
        async with tenants_transaction(self.worker, [entry.tenant]) as conn:
            await queries.note_destroyed(conn, keys=len(destroyed), **who)
        while await self._purge_batch(entry, self.purgers):
            await reach("shred.after-batch")
        async with tenants_transaction(self.worker, [entry.tenant]) as conn:
            if await queries.finish(conn, **who):
                done = _report(await queries.find_shred(conn, **who))
                await _audit(conn, entry, "keys.shredded", {"keys": done.keys_destroyed, "rows": dict(done.rows)})

    async def purge_again(self, entry: LedgerEntry) -> None:
        """What was written after the last step by those who cannot ask the guard; it goes into the report."""
        unguarded = [purger for purger in self.purgers if purger.unguarded]
        while await self._purge_batch(entry, unguarded):
            pass

    async def survey(self, tenant: str, subject: str) -> dict[str, int]:
        """What a shred would destroy and delete, by table: the same statements, rolled back."""
        found = await keys_queries.list_keys_of_subjects(self.keys, tenant_id=tenant, subject_id=subject, most=1_000_000)
        rows: dict[str, int] = {"data_keys": len(found)}
        async with self.worker.acquire() as conn:
            trial = conn.transaction()
            await trial.start()
            try:
                await conn.execute("select set_config('app.tenants', array[$1]::text[]::text, true)", tenant)
                while batch := await _purged_by(self.purgers, conn, tenant, subject):
                    rows |= {table: rows.get(table, 0) + count for table, count in batch.items()}
            finally:
                await trial.rollback()
        return rows

    async def report(self, tenant: str, subject: str) -> ShredReport:
        """The proof as far as it is. Raises LookupError for a subject that nobody ordered to shred."""
        async with tenants_transaction(self.worker, [tenant]) as conn:
            row = await queries.find_shred(conn, tenant_id=tenant, subject_id=subject)
        if row is None:
            raise LookupError(subject)
        return _report(row)

    async def _purge_batch(self, entry: LedgerEntry, purgers: Sequence[Purger]) -> bool:
        """One batch of each purger, and its count, in one transaction; False when there was nothing."""
        async with tenants_transaction(self.worker, [entry.tenant]) as conn:
            rows = await _purged_by(purgers, conn, entry.tenant, entry.subject)
            if rows:
                await queries.note_purged(
                    conn, tenant_id=entry.tenant, subject_id=entry.subject, names=list(rows), rows=list(rows.values())
                )
        return bool(rows)


async def _purged_by(purgers: Sequence[Purger], conn: Any, tenant: str, subject: str) -> dict[str, int]:
    rows: dict[str, int] = {}
    for purger in purgers:
        for table, count in (await purger.purge(conn, tenant, subject)).items():
            if count:
                rows[table] = rows.get(table, 0) + count
    return rows


async def resume(shredder: Shredder, scan: asyncpg.Pool, *, everything: bool = True) -> int:
    """Finish what is unfinished; how many subjects. `scan` is a pool of cs_scan.

    First the ledgers are settled: `everything`, or only what was entered lately, which is cheap however long they are. Last
    come the records that were parked after their subject's shred: by a batch that was under way, or, when `everything` is
    looked at, from a command that was still in its topic.
    """
    settling = settle if everything else settle_lately
    await settling(scan, shredder.keys, shredder.file)
    unfinished = [entry_of(row) for row in await queries.list_unfinished(scan, most=_UNFINISHED)]
    seconds = _IN_TOPICS_SECONDS if everything else _UNDER_WAY_SECONDS
    late = [entry_of(row) for row in await queries.list_lately_purged(scan, seconds=seconds)]
    await _all([*((shredder.finish, entry) for entry in unfinished), *((shredder.purge_again, entry) for entry in late)])
    return len(unfinished)


async def _all(work: Sequence[tuple[Callable[[LedgerEntry], Awaitable[None]], LedgerEntry]]) -> None:
    """One after another; those that fail keep no other waiting, and the first one's error is raised at the end."""
    failed: Exception | None = None
    for act, entry in work:
        try:
            await act(entry)
        except Exception as error:  # noqa: BLE001 - raised below
            failed = failed or error
    if failed is not None:
        raise failed


async def _audit(conn: Any, entry: LedgerEntry, action: str, detail: Mapping[str, object]) -> None:
    await append(
        conn,
        tenant_id=entry.tenant,
        actor=entry.requested_by,
        action=action,
        object_type="subject",
        object_id=entry.subject,
        reason=entry.reason,
        detail=detail,
    )


def _report(row: Any) -> ShredReport:
    return ShredReport(
        tenant=row["tenant_id"],
        subject=row["subject_id"],
        shred_id=row["shred_id"],
        ordered_at=row["ordered_at"],
        requested_by=row["requested_by"],
        reason=row["reason"],
        keys_destroyed_at=row["keys_destroyed_at"],
        keys_destroyed=row["keys_destroyed"],
        purged_at=row["purged_at"],
        rows={name: int(count) for name, count in sorted(json.loads(row["purged"]).items())},
    )
