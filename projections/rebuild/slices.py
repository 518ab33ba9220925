"""The store's slices: who reads which, under which term, and how far (several processes share them, SP-7).

    free (expired) -> leased, term + 1 -> cursor moves with each committed batch -> done

The lease is renewed by the batches themselves, in the transaction that writes their rows: whoever was frozen and lost it
finds no row of its term and rolls everything back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from runtime.sql import Connection, load_queries

queries = load_queries(__file__, "rebuild.sql")

# A batch is shorter than a transaction may be (8 s).
LIFE = timedelta(seconds=10)


class LostSlice(Exception):
    """Somebody else reads this slice by now: write nothing more of it."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A leased part of the store: numbers above `cursor`, up to `last`."""

    rebuild_id: UUID
    name: str
    version: int
    trial_tenant: str | None
    rate: int | None
    attempt: int
    first: int
    last: int
    cursor: int
    term: int


async def lay(conn: Connection, rebuild_id: UUID, ranges: Sequence[tuple[int, int]]) -> None:
    """Insert the slices of a rebuild; those that are there already stay as they are."""
    await queries.insert_slices(
        conn, rebuild_id=rebuild_id, firsts=[first for first, _ in ranges], lasts=[last for _, last in ranges]
    )


async def lease(conn: Connection, owner: str, rebuild_id: UUID | None = None) -> Slice | None:
    """The next free slice of any scanning rebuild (or of this one), under a new term."""
    row = await queries.lease_slice(conn, owner=owner, life=LIFE, rebuild_id=rebuild_id)
    if row is None:
        return None
    return Slice(
        row["rebuild_id"],
        row["name"],
        row["version"],
        row["trial_tenant"],
        row["rate"],
        row["attempt"],
        row["first_seq"],
        row["last_seq"],
        row["cursor"],
        row["term"],
    )


async def advance(conn: Connection, part: Slice, cursor: int, scanned: int) -> None:
    """Move the cursor in the batch's own transaction. Raises LostSlice: another term, or the rebuild is not scanning."""
    moved = await queries.advance_slice(
        conn,
        rebuild_id=part.rebuild_id,
        attempt=part.attempt,
        first_seq=part.first,
        term=part.term,
        cursor=cursor,
        scanned=scanned,
        life=LIFE,
    )
    if not moved:
        raise LostSlice(f"slice {part.first} of rebuild {part.rebuild_id}")


async def release(conn: Connection, part: Slice) -> None:
    """Let the next one go on at once."""
    await queries.release_slice(conn, rebuild_id=part.rebuild_id, attempt=part.attempt, first_seq=part.first, term=part.term)


async def readers(conn: Connection, rebuild_id: UUID) -> int:
    """How many processes read this rebuild's slices now."""
    return int(await queries.count_readers(conn, rebuild_id=rebuild_id))
