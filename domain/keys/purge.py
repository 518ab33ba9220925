"""What else holds a subject's data, and how it goes: the purgers of a shred's last step.

A purger empties or deletes a batch of rows in the caller's transaction and says how many, by table; a shred calls it until
it finds nothing more. Which tables a purger answers for stands in `tables`; a catalogue test holds that against every
`delete` rule of schemas/erasure.py. Purgers of other rooms (table versions) are passed in by the wiring.

Here is the purger of parked messages. A record that names the subject loses its contents at once and is ordered to be
discarded; the partition's owner then counts it as seen and removes the row, so that what follows its key goes on. Who parks
a record cannot read whose it is, so records of a shredded subject may still be parked later: `shred.resume` looks again.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.sql import Connection, load_queries
from schemas.entities import SUBJECT_SEPARATOR
from schemas.headers import pack_headers, unpack_headers

queries = load_queries(Path(__file__).with_name("purge.sql"))

Purge = Callable[[Connection, str, str], Awaitable[Mapping[str, int]]]


@dataclass(frozen=True, slots=True)
class Purger:
    """`purge(conn, tenant, subject)` does one batch; rows by table, empty or all 0 when nothing is left.

    `tables` are names, or beginnings of names that end in a full stop, as schemas/erasure.py has them. `unguarded`: their
    writers do not ask the guard, so rows of a shredded subject may still come.
    """

    name: str
    tables: tuple[str, ...]
    purge: Purge
    unguarded: bool = False


PAGE = 500
# What a discarded record must still say of itself; everything else in headers and envelope may be a sender's own words.
_IDENTITY = ("specversion", "id", "source", "type", "time", "sequence", "tenant")
_KEPT_HEADERS = frozenset({"content-type", *(f"ce_{name}" for name in _IDENTITY)})


async def purge_parked(conn: Connection, tenant: str, subject: str) -> Mapping[str, int]:
    """Empty every parked record of the tenant that names the subject. Looks at all of them, in pages."""
    emptied, after = 0, ("", "", -1, -1)
    while True:
        rows = await queries.list_candidates(
            conn,
            tenant_id=tenant,
            # An entity's event holds its type and id apart.
            plain=(subject.partition(SUBJECT_SEPARATOR)[2] or subject).encode(),
            escape=b"\\",
            group_name=after[0], topic=after[1], partition=after[2], offset=after[3],
            most=PAGE,
        )  # fmt: skip
        found = [row for row in rows if row["value"] is not None and names_subject(row["value"], subject)]
        if found:
            emptied += await _empty(conn, found)
        if len(rows) < PAGE:
            return {"public.parked_messages": emptied}
        last = rows[-1]
        after = (last["group_name"], last["topic"], last["partition"], last["offset"])


async def _empty(conn: Connection, rows: list[Any]) -> int:
    touched: int = await queries.empty_parked(
        conn,
        groups=[row["group_name"] for row in rows],
        topics=[row["topic"] for row in rows],
        partitions=[row["partition"] for row in rows],
        offsets=[row["offset"] for row in rows],
        values=[identity_of(row["value"]) for row in rows],
        headers=[_plain_headers(row["headers"]) for row in rows],
    )
    return touched


def names_subject(value: bytes, subject: str) -> bool:
    """Whether a record's value is the subject's: by its field, or, where no JSON can be read, by the quoted id in its bytes."""
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        return _quoted(subject, ascii_only=False) in value or _quoted(subject, ascii_only=True) in value
    if not isinstance(content, dict):
        return False
    data = content.get("data")
    return subject in _subjects(content) or (isinstance(data, dict) and subject in _subjects(data))


def _subjects(content: Mapping[str, Any]) -> tuple[object, object]:
    """Whom an object names; an entity that names nobody is its own subject."""
    return content.get("subjectId"), f"{content.get('entityType')}{SUBJECT_SEPARATOR}{content.get('entityId')}"


def identity_of(value: bytes) -> bytes | None:
    """What is left of a value: of an event in structured mode its identity, of anything else nothing."""
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or "specversion" not in content:
        return None
    return json.dumps({name: content[name] for name in _IDENTITY if name in content}).encode()


def _plain_headers(packed: bytes) -> bytes:
    return pack_headers([(name, value) for name, value in unpack_headers(packed) if name.lower() in _KEPT_HEADERS])


def _quoted(subject: str, *, ascii_only: bool) -> bytes:
    return json.dumps(subject, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


PARKED = Purger("parked messages", ("public.parked_messages", "public.parked_keys"), purge_parked, unguarded=True)
