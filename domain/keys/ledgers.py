"""Three ledgers of shredded subjects and their union: the keys database's, the main database's, the file's.

Any of the three may have been restored to a time before a shred; none of them ever loses a row otherwise. So the union is
what holds, and it is brought into all three before a process that encrypts or decrypts begins its work (`settle`), and
again whenever unfinished shreds are looked for. One kind of process applies it (role cs_scan); the others wait until the
main ledger, which their transactions read, knows everything that the keys database and the file know (`unapplied`).
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import Any

import asyncpg

from domain.keys.guard import bucket_of, hold_alone
from runtime.keys.ledger_file import LedgerEntry, LedgerFile, missing_from
from runtime.keys.store import queries as keys_queries
from runtime.postgres import is_transient
from runtime.sql import load_queries
from schemas.errors import TransientError

queries = load_queries(__file__)

_PAGE = 5000
ATTEMPTS = 40
_PAUSE_SECONDS = 0.1


async def settle(scan: asyncpg.Pool, keys: asyncpg.Pool, file: LedgerFile) -> int:
    """Bring the union into all three ledgers, and destroy the keys that a restore brought back; how many entries were new."""
    in_main, in_keys, in_file = await read_main(scan), await read_keys(keys), file.read()
    union = list({entry.place: entry for entry in [*in_file, *in_main, *in_keys]}.values())
    lacking_main, lacking_keys = missing_from(union, in_main), missing_from(union, in_keys)
    await enter_keys(keys, lacking_keys)
    file.append(missing_from(union, in_file))
    await enter_main(scan, lacking_main)
    await keys_queries.sweep_keys(keys)
    return len({entry.place for entry in [*lacking_main, *lacking_keys]})


async def settle_lately(scan: asyncpg.Pool, keys: asyncpg.Pool, file: LedgerFile) -> int:
    """The same for what the keys database learned of within two hours: orders that a crash left after their first step."""
    lately = [entry_of(row) for row in await keys_queries.list_lately_shredded(keys)]
    tenants, subjects = [entry.tenant for entry in lately], [entry.subject for entry in lately]
    entered = await queries.list_entered(scan, tenants=tenants, subjects=subjects) if lately else []
    known = {(row["tenant_id"], row["subject_id"]) for row in entered}
    lacking = [entry for entry in lately if entry.place not in known]
    file.append(lacking)
    await enter_main(scan, lacking)
    return len(lacking)


async def unapplied(main: asyncpg.Pool, keys: asyncpg.Pool, file: LedgerFile) -> int:
    """How many entries of the keys database and the file the main ledger lacks, as any role sees it."""
    entries = {entry.place: entry for entry in [*file.read(), *await read_keys(keys)]}
    lacking = 0
    for tenant, places in groupby(sorted(entries), key=lambda place: place[0]):
        subjects = [subject for _, subject in places]
        async with main.acquire() as conn, conn.transaction():
            await queries.see_tenant(conn, tenant_id=tenant)
            entered = await queries.count_entered(conn, tenants=[tenant] * len(subjects), subjects=subjects)
        lacking += len(subjects) - entered
    return lacking


async def read_main(scan: asyncpg.Pool) -> list[LedgerEntry]:
    """The whole ledger of the main database, as cs_scan, who sees every tenant."""
    return await _read(lambda **after: queries.list_main_ledger(scan, **after))


async def read_keys(keys: asyncpg.Pool) -> list[LedgerEntry]:
    """The whole ledger of the keys database."""
    return await _read(lambda **after: keys_queries.list_ledger(keys, **after))


async def enter_keys(keys: Any, entries: Sequence[LedgerEntry]) -> None:
    """From now on no process gets a key of these subjects from the keys database, and none makes one."""
    for start in range(0, len(entries), _PAGE):
        await keys_queries.enter_ledger(keys, **_arrays(entries[start : start + _PAGE]))


Also = Callable[[Any], Awaitable[None]]


async def enter_main(pool: asyncpg.Pool, entries: Sequence[LedgerEntry], also: Also | None = None) -> None:
    """Bucket by bucket, alone in it: no transaction that read the ledger before is left when the row is there.

    `also` acts in the same transaction. Raises TransientError when a bucket stays held for `ATTEMPTS` turns of half a second.
    """
    buckets: dict[tuple[int, str], list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        buckets[bucket_of(entry.place), entry.tenant].append(entry)
    for members in buckets.values():
        await _enter_bucket(pool, members, also)


async def _enter_bucket(pool: asyncpg.Pool, entries: Sequence[LedgerEntry], also: Also | None) -> None:
    for _ in range(ATTEMPTS):
        try:
            async with pool.acquire() as conn, conn.transaction():
                await queries.see_tenant(conn, tenant_id=entries[0].tenant)
                await queries.bound_waiting(conn)
                await hold_alone(conn, entries[0].place)
                await queries.enter_main_ledger(conn, **_arrays(entries))
                if also is not None:
                    await also(conn)
                return
        except Exception as error:
            if not is_transient(error):
                raise
        await asyncio.sleep(_PAUSE_SECONDS)
    raise TransientError(
        f"the bucket of {len(entries)} subject(s) to be shredded stayed held: the order is in the keys database and is resumed"
    )


async def _read(page: Callable[..., Awaitable[list[Any]]]) -> list[LedgerEntry]:
    found: list[LedgerEntry] = []
    after = ("", "")
    while True:
        rows = await page(tenant_id=after[0], subject_id=after[1], most=_PAGE)
        found += [entry_of(row) for row in rows]
        if len(rows) < _PAGE:
            return found
        after = found[-1].place


def entry_of(row: Any) -> LedgerEntry:
    """A ledger's row."""
    return LedgerEntry(
        row["tenant_id"], row["subject_id"], row["shred_id"], row["ordered_at"], row["requested_by"], row["reason"]
    )


def _arrays(entries: Sequence[LedgerEntry]) -> dict[str, list[Any]]:
    return {
        "tenants": [entry.tenant for entry in entries],
        "subjects": [entry.subject for entry in entries],
        "shred_ids": [entry.shred_id for entry in entries],
        "ordered_at": [entry.ordered_at for entry in entries],
        "requested_by": [entry.requested_by for entry in entries],
        "reasons": [entry.reason for entry in entries],
    }
