"""Reads the store's slices into table versions; any number of processes share them.

    lease a slice -> page -> [ begin  hold subjects  decrypt, project  guarded write  park  cursor, term  commit ] -> page ...

The rows are made and written by the very functions of the live projector, and the guarded write lets the latest version of
a case win, so slices may be read in any order, twice, and beside the group that already follows the topic (trap 85, 88). A
batch is one transaction of about a quarter of a second: a long writing transaction would stop every relay's floor.
Everything that a kill can interrupt is in that transaction; the next owner goes on behind the last committed page.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from domain.incidents import open_incidents
from domain.rebuilds import commands
from projections.cases.opening import Opener, Snapshot
from projections.cases.projector import Unfilled, incidents_of
from projections.cases.writing import CaseRow, writer_of
from projections.ddl_orders import spec_of
from projections.rebuild import slices
from projections.rebuild.conductor import all_tenants
from projections.rebuild.pace import Pace
from projections.rebuild.slices import LostSlice, Slice
from projections.versions import find_version
from runtime.failpoints import reach
from runtime.keys.ring import KeyRing
from runtime.logging import get_logger
from runtime.pauses import pause
from runtime.postgres import is_transient, tenants_transaction
from runtime.sql import Connection, load_queries
from schemas.errors import PermanentError

log = get_logger(__name__)
queries = load_queries(__file__, "rebuild.sql")

LEAST_PAGE, FIRST_PAGE, MOST_PAGE = 50, 500, 4_000
# Sealed bytes of one page: two pages are in memory at a time.
PAGE_BYTES = 16 * 1024 * 1024
# Numbers that one page looks at: where a slice holds little of the table's classes, a statement would pass its time limit.
MOST_NUMBERS = 50_000
# A batch that takes less grows, one that takes longer shrinks.
SHORT_SECONDS, LONG_SECONDS = 0.15, 0.4
IDLE_SECONDS = 0.5
# Well below a lease's life.
MOST_WAIT_SECONDS = 4.0
_KEPT_VERSIONS = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Stored snapshots in the order of their numbers; `cursor` is where the next page begins."""

    rows: Sequence[Mapping[str, Any]]
    cursor: int
    read: int


@dataclass(frozen=True, slots=True)
class Poison:
    """A stored snapshot that gave no row, and the kind of reason."""

    seq: int
    tenant_id: str
    case_id: str
    version: int
    reason: str


class StoreScanner:
    """One process's reader. `hash_key` as the live projector has it, or the rows would differ."""

    def __init__(self, scan: asyncpg.Pool, worker: asyncpg.Pool, ring: KeyRing, hash_key: bytes | None, owner: str) -> None:
        self._scan, self._worker, self._ring, self._hash_key, self._owner = scan, worker, ring, hash_key, owner
        self._openers: dict[tuple[str, int], tuple[Opener, Any]] = {}
        self._pace = Pace(time.monotonic)
        self._page_size = FIRST_PAGE

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`: read whatever slice is free. A database that is away, or full, is waited for."""
        while not stop.is_set():
            try:
                found = await self.next(stop)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("the store scan waits", error=error)
                found = False
            if not found:
                await pause(stop, IDLE_SECONDS)

    async def next(self, stop: asyncio.Event) -> bool:
        """Lease a slice and read it to its end, or as far as it is ours; False when none is free."""
        async with self._worker.acquire() as conn:
            part = await slices.lease(conn, self._owner)
        if part is None:
            return False
        await reach("scan.after-lease")
        try:
            await self._read(part, stop)
        except LostSlice:
            log.info("a slice is no longer ours", rebuild_id=str(part.rebuild_id))
        except Exception as error:
            if is_transient(error):
                await self._tell(part, f"the store scan waits: {type(error).__name__}; it goes on by itself when that is over")
            raise
        return True

    async def _tell(self, part: Slice, message: str) -> None:
        """People see why nothing moves. A database that is away cannot be told anything."""
        try:
            async with self._worker.acquire() as conn:
                await commands.queries.set_message(conn, rebuild_id=part.rebuild_id, state="scanning", message=message)
        except Exception as error:  # noqa: BLE001 - the trouble itself is logged
            log.info("the rebuild's message was not written", error=error)

    async def _read(self, part: Slice, stop: asyncio.Event) -> None:
        tenants = [part.trial_tenant] if part.trial_tenant else await all_tenants(self._scan)
        opener, spec = await self._opener(part)
        await self._share(part)
        cursor = part.cursor
        following = asyncio.ensure_future(self._page(part, tenants, opener, cursor))
        try:
            while cursor < part.last and not stop.is_set():
                page = await following
                # The next page is on its way while this one is written.
                following = asyncio.ensure_future(self._page(part, tenants, opener, page.cursor))
                await self._write(part, tenants, opener, spec, page)
                cursor = page.cursor
                await self._wait(part, page.read, stop)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        if cursor < part.last:
            async with self._worker.acquire() as conn:
                await slices.release(conn, part)

    async def _opener(self, part: Slice) -> tuple[Opener, Any]:
        key = (part.name, part.version)
        if key not in self._openers:
            async with self._worker.acquire() as conn:
                spec = spec_of(await find_version(conn, part.name, part.version))
            if len(self._openers) >= _KEPT_VERSIONS:
                self._openers.clear()
            self._openers[key] = Opener(spec, self._ring, self._hash_key), spec
        return self._openers[key]

    async def _page(self, part: Slice, tenants: Sequence[str], opener: Opener, after: int) -> Page:
        """Read only, and only of the version's classes."""
        if after >= part.last:
            return Page([], part.last, 0)
        last = min(part.last, after + MOST_NUMBERS)
        async with tenants_transaction(self._worker, tenants) as conn:
            rows = await queries.read_stored(
                conn, after=after, last=last, classes=sorted(opener.classes), most=self._page_size, bytes=PAGE_BYTES
            )
        # A page that is cut off by its bytes ends early too: only an empty one says that nothing is left up to `last`.
        return Page(rows, rows[-1]["seq"] if rows else last, len(rows))

    async def _write(self, part: Slice, tenants: Sequence[str], opener: Opener, spec: Any, page: Page) -> None:
        """One batch, one transaction. Raises LostSlice."""
        began = time.monotonic()
        newest = list({(row["tenant_id"], row["case_id"]): row for row in page.rows}.values())
        snapshots = [_snapshot(row) for row in newest]
        await opener.warm(snapshots)
        async with tenants_transaction(self._worker, tenants) as conn:
            rows, poison, unfilled = await self._made(conn, opener, snapshots, newest)
            await writer_of(spec, part.version).write(conn, rows)
            await open_incidents(conn, [one for each in unfilled for one in incidents_of(f"{part.name}.v{part.version}", each)])
            await self._park(conn, part, newest, poison)
            await reach("scan.before-cursor")
            await slices.advance(conn, part, page.cursor, page.read)
            await reach("scan.before-commit")
        await reach("scan.after-commit")
        self._adapt(time.monotonic() - began, page.read)

    async def _made(
        self, conn: Connection, opener: Opener, snapshots: Sequence[Snapshot], newest: Sequence[Mapping[str, Any]]
    ) -> tuple[list[CaseRow], list[Poison], list[Unfilled]]:
        held = await opener.hold(conn, snapshots)
        rows: list[CaseRow] = []
        poison: list[Poison] = []
        unfilled: list[Unfilled] = []
        for snapshot, stored in zip(snapshots, newest, strict=True):
            try:
                row, problems = opener.row(snapshot, held)
            except Exception as error:  # noqa: BLE001 - as the shell does: what makes no row is set aside, the rest goes on
                place = snapshot.tenant_id, snapshot.case_id, snapshot.version
                reason = error.reason if isinstance(error, PermanentError) else type(error).__name__
                poison.append(Poison(stored["seq"], *place, reason))
                continue
            rows.append(row)
            if problems:
                unfilled.append(Unfilled(row.tenant_id, row.case_id, tuple(problems)))
        return rows, poison, unfilled

    async def _park(self, conn: Connection, part: Slice, newest: Sequence[Mapping[str, Any]], poison: Sequence[Poison]) -> None:
        if part.attempt:
            bad = {one.seq for one in poison}
            await queries.unpark_stored(
                conn, rebuild_id=part.rebuild_id, seqs=[row["seq"] for row in newest if row["seq"] not in bad]
            )
        if poison:
            await queries.park_stored(
                conn,
                rebuild_id=part.rebuild_id,
                seqs=[one.seq for one in poison],
                tenant_ids=[one.tenant_id for one in poison],
                case_ids=[one.case_id for one in poison],
                versions=[one.version for one in poison],
                reasons=[one.reason for one in poison],
            )

    def _adapt(self, seconds: float, read: int) -> None:
        if seconds > LONG_SECONDS:
            self._page_size = max(LEAST_PAGE, self._page_size // 2)
        elif seconds < SHORT_SECONDS and read >= self._page_size:
            self._page_size = min(MOST_PAGE, self._page_size * 2)

    async def _wait(self, part: Slice, read: int, stop: asyncio.Event) -> None:
        """Between transactions."""
        if part.rate:
            await self._share(part)
            self._pace.spend(read)
            if (owed := self._pace.owed()) > 0:
                await pause(stop, min(owed, MOST_WAIT_SECONDS))

    async def _share(self, part: Slice) -> None:
        """The rate is shared by as many as read now. A page is of about a second at most: its debt must fit into the lease."""
        self._pace.rate = None
        if part.rate:
            async with self._worker.acquire() as conn:
                share = part.rate / max(1, await slices.readers(conn, part.rebuild_id))
            self._pace.rate = share
            self._page_size = max(1, min(self._page_size, int(share)))


def _snapshot(row: Mapping[str, Any]) -> Snapshot:
    return Snapshot(row["tenant_id"], row["case_id"], row["class_name"], row["version"], row["subject_id"], row["snapshot"])
