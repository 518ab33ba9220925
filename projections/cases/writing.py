"""Rows of case table versions into PostgreSQL: one guarded statement for live events and store scans alike (P6, trap 85).

A row is taken only when its snapshot is newer than the one that the table has, so stale and duplicate snapshots, and two
writers that fill one table side by side, change nothing they should not. Child rows are replaced for exactly those parents
that the guarded statement returned (trap 86). Rows go in the order of their keys, so that two writers never wait in a ring.

The columns of a version are data, so these are the only statements beside DDL that are made of text; every name in them
passes `projections.ddl.quote`. Rows travel as an array of the table's own row type: as fast as COPY into a temporary table
(benchmarks/projections), which needs a right to make tables that runtime roles do not have.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from domain.cases.mapping.tables import TableSpec
from projections import ddl
from runtime.sql import Connection

Key = tuple[str, str]


_NO_CHILDREN: Final[Mapping[str, Sequence[tuple[Any, ...]]]] = MappingProxyType({})


class CaseRow(NamedTuple):
    """A case's row in one version: mapped values in the spec's order, child rows beginning with their position.

    A tombstone has no values: `removed` by a command, or `erased` with its subject.
    """

    tenant_id: str
    case_id: str
    snapshot_version: int
    subject_id: str
    values: tuple[Any, ...] = ()
    children: Mapping[str, Sequence[tuple[Any, ...]]] = _NO_CHILDREN
    tombstone: Literal["removed", "erased"] | None = None

    @property
    def key(self) -> Key:
        return self.tenant_id, self.case_id


class Writer:
    """The statements of one table version."""

    def __init__(self, spec: TableSpec, version: int) -> None:
        self._spec = spec
        self._blank = (None,) * len(spec.columns)
        self._upsert = _upsert(spec, version)
        self._clear = {child.name: _clear(ddl.place(child.name, version)) for child in spec.children}
        self._fill = {child.name: _fill(ddl.place(child.name, version)) for child in spec.children}
        self._versions = _versions(ddl.place(spec.name, version))
        self._erase = _erase(spec, version)

    async def write(self, conn: Connection, rows: Iterable[CaseRow]) -> int:
        """Upsert what is newer than the table has; how many rows changed. One row per case is written, the newest given."""
        newest = newest_of(rows)
        if not newest:
            return 0
        written = await conn.fetch(self._upsert, [self._record(row) for row in newest])
        if self._fill:
            parents = {(row[0], row[1]): bool(row[2]) for row in written}
            await self._replace_children(conn, [row for row in newest if row.key in parents], parents)
        return len(written)

    async def versions(self, conn: Connection, keys: Sequence[Key]) -> dict[Key, int]:
        """The snapshot version that each of these cases has here."""
        rows = await conn.fetch(self._versions, [tenant for tenant, _ in keys], [case for _, case in keys])
        return {(row[0], row[1]): row[2] for row in rows}

    async def erase(self, conn: Connection, tenant_id: str, subject_id: str, most: int) -> int:
        """Make tombstones of at most so many rows of a subject, their child rows gone; how many were made.

        Call it until it answers 0. In a transaction that holds the subject (domain/keys/guard.py), as every writer does.
        """
        rows = await conn.fetch(self._erase, tenant_id, subject_id, most)
        if rows:
            for clear in self._clear.values():
                await conn.execute(clear, [row[0] for row in rows], [row[1] for row in rows])
        return len(rows)

    async def _replace_children(self, conn: Connection, rows: Sequence[CaseRow], is_new: Mapping[Key, bool]) -> None:
        # A parent that was not there had no child rows either.
        old = [row.key for row in rows if not is_new[row.key]]
        for name in self._fill:
            if old:
                await conn.execute(self._clear[name], [tenant for tenant, _ in old], [case for _, case in old])
            records = [(*row.key, *child) for row in rows for child in row.children.get(name, ())]
            if records:
                await conn.execute(self._fill[name], records)

    def _record(self, row: CaseRow) -> tuple[Any, ...]:
        values = self._blank if row.tombstone else row.values
        return (row.tenant_id, row.case_id, row.snapshot_version, row.subject_id, row.tombstone, *values)


_WRITERS: dict[tuple[str, int, str], Writer] = {}


def writer_of(spec: TableSpec, version: int) -> Writer:
    """The version's writer; its statements are made once per process."""
    key = (spec.name, version, spec.fingerprint())
    if key not in _WRITERS:
        _WRITERS[key] = Writer(spec, version)
    return _WRITERS[key]


async def write_rows(conn: Connection, spec: TableSpec, version: int, rows: Iterable[CaseRow]) -> int:
    """Upsert rows of one version where they are newer; how many changed."""
    return await writer_of(spec, version).write(conn, rows)


def newest_of(rows: Iterable[CaseRow]) -> list[CaseRow]:
    """One row per case, the one of its highest version, in the order of keys that every writer keeps."""
    newest: dict[Key, CaseRow] = {}
    for row in rows:
        if (known := newest.get(row.key)) is None or row.snapshot_version > known.snapshot_version:
            newest[row.key] = row
    return [newest[key] for key in sorted(newest)]


# Every name in these statements is quoted by ddl.quote; nothing else is put into them.
# ruff: noqa: S608
def _upsert(spec: TableSpec, version: int) -> str:
    target = ddl.place(spec.name, version)
    names = [ddl.quote(name) for name, *_ in ddl.SYSTEM_COLUMNS[2:]] + [ddl.quote(column.name) for column in spec.columns]
    return (
        f"insert into {target} as t select r.* from unnest($1::{target}[]) as r "
        f"on conflict (tenant_id, case_id) do update set ({', '.join(names)}) = "
        f"row({', '.join(f'excluded.{name}' for name in names)}) "
        "where excluded.snapshot_version > t.snapshot_version "
        # xmax is 0 in a row that was inserted and not updated.
        "returning t.tenant_id, t.case_id, t.xmax = 0"
    )


def _clear(target: str) -> str:
    # From the keys to the rows, as every look-up: a new version's tables have no statistics while they are filled.
    return (
        f"delete from {target} where ctid = any (array("
        "select found.ctid from unnest($1::text[], $2::text[]) as k (tenant_id, case_id) "
        f"cross join lateral (select t.ctid from {target} t "
        "where t.tenant_id = k.tenant_id and t.case_id = k.case_id offset 0) found))"
    )


def _fill(target: str) -> str:
    return f"insert into {target} select r.* from unnest($1::{target}[]) as r"


def _versions(target: str) -> str:
    return (
        "select k.tenant_id, k.case_id, known.snapshot_version from unnest($1::text[], $2::text[]) as k (tenant_id, case_id) "
        f"cross join lateral (select t.snapshot_version from {target} t "
        "where t.tenant_id = k.tenant_id and t.case_id = k.case_id offset 0) known"
    )


def _erase(spec: TableSpec, version: int) -> str:
    target = ddl.place(spec.name, version)
    emptied = "".join(f", {ddl.quote(column.name)} = null" for column in spec.columns)
    return (
        f"update {target} as t set tombstone = 'erased'{emptied} from (select tenant_id, case_id from {target} "
        "where tenant_id = $1 and subject_id = $2 and tombstone is distinct from 'erased' "
        "order by tenant_id, case_id limit $3 for update) as found "
        "where t.tenant_id = found.tenant_id and t.case_id = found.case_id returning t.tenant_id, t.case_id"
    )
