"""What may be read of cases without a key: heads, versions and lists, ids and metadata only. Never locks, never decrypts.

Lists are keyset pages: `next` of one page is the `after` of the following one, None at the end.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from domain.cases.case import Case
from domain.cases.sealing import StoredSnapshot
from runtime.keys.ring import KeyPlace
from runtime.snapshots import OVERHEAD_BYTES, key_id_of
from runtime.sql import Connection, load_queries
from schemas.errors import DecryptionFailed, NotFound

queries = load_queries(__file__)

_LAST_VERSION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Page:
    """Rows and where the next page begins."""

    rows: list[dict[str, Any]]
    next: Any = field(default=None)


async def get_case(conn: Connection, tenant_id: str, case_id: str) -> Case:
    """The head. Raises NotFound, for a foreign tenant's case too."""
    row = await queries.find_case(conn, tenant_id=tenant_id, case_id=case_id)
    if row is None:
        raise NotFound(f"Case {case_id} not found")
    return Case(*row)


async def get_snapshot(conn: Connection, tenant_id: str, case_id: str, version: int | None) -> StoredSnapshot | None:
    """The sealed latest or named version; None when that version is a removal. Raises NotFound."""
    row = await queries.find_version(conn, tenant_id=tenant_id, case_id=case_id, version=version)
    if row is None or version not in (None, row["version"]):
        raise NotFound(f"Case {case_id} has no version {version}")
    if row["removed"]:
        return None
    return StoredSnapshot(*(row[column.name] for column in fields(StoredSnapshot)))


async def get_key_place(conn: Connection, tenant_id: str, case_id: str, version: int | None) -> KeyPlace | None:
    """Whose key opens the latest or named version; None where there is nothing to open."""
    row = await queries.find_sealed_head(conn, tenant_id=tenant_id, case_id=case_id, version=version, bytes=OVERHEAD_BYTES)
    if row is None or row["head"] is None:
        return None
    try:
        return row["tenant_id"], row["subject_id"], key_id_of(row["head"])
    except DecryptionFailed:
        return None


async def list_versions(
    conn: Connection, tenant_id: str, case_id: str, *, after: int | None = None, page_size: int = 100
) -> Page:
    """A case's versions without their contents, newest first; `after` is the last version seen. Raises NotFound."""
    await get_case(conn, tenant_id, case_id)
    rows = await queries.list_versions(
        conn, tenant_id=tenant_id, case_id=case_id, before=after or _LAST_VERSION, page_size=page_size + 1
    )
    return _page(rows, page_size, "version")


async def list_cases(
    conn: Connection,
    tenant_id: str,
    *,
    class_name: str | None = None,
    subject_id: str | None = None,
    after: str = "",
    page_size: int = 50,
) -> Page:
    """A tenant's cases by id: heads only; `after` is the last case id seen."""
    asked: dict[str, Any] = {"tenant_id": tenant_id, "after": after, "page_size": page_size + 1}
    if subject_id is not None:
        rows = await queries.list_cases_of_subject(conn, **asked, subject_id=subject_id, class_name=class_name)
    elif class_name is not None:
        rows = await queries.list_cases_of_class(conn, **asked, class_name=class_name)
    else:
        rows = await queries.list_cases(conn, **asked)
    return _page(rows, page_size, "case_id")


def _page(rows: list[Any], size: int, position: str) -> Page:
    found = [dict(row) for row in rows[:size]]
    return Page(found, found[-1][position] if len(rows) > size else None)
