"""Whether a table version is what the store says: each row against `project()` of the snapshot that it was made of (P6).

    1 note the topic's ends E, wait until the group has passed them
    2 case after case: the row at version v must equal what the stored version v gives now, child rows too
    3 a case whose row is older than the case, or missing, is right only if the newer snapshot lies behind E

A row's version names the snapshot that it was made of, and stored snapshots never change, so no common snapshot is needed:
each page is a short transaction of its own, however long the table. Reads and decrypts under the subjects' locks as every
reader does; writes nothing.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import asyncpg

from domain.cases.mapping.tables import ColumnSpec, TableSpec
from projections import ddl
from projections.cases.opening import Opener, Snapshot
from projections.cases.writing import CaseRow
from projections.ddl_orders import spec_of
from projections.rebuild.parity import SAMPLE, Beat, Report, events_after, wait_until_passed, without_time_limits
from projections.rebuild.topics import Broker
from projections.rebuild.verdicts import Difference, Pair, Sums, judge
from projections.versions import TableVersion
from runtime.keys.ring import KeyRing
from runtime.postgres import tenants_transaction
from runtime.sql import Connection, load_queries
from schemas.errors import PermanentError

queries = load_queries(__file__, "rebuild.sql")

# Snapshots of 900 kB each must fit into memory, and their decrypting into a transaction.
PAGE = 100
MOST_FOUND = 10_000
# More cases than this are not judged by where their newer event lies: then the version is not caught up, or not whole.
MOST_OLDER = 20_000


async def compare_with_store(
    worker: asyncpg.Pool,
    kafka: Broker,
    tenants: Sequence[str],
    version: TableVersion,
    ring: KeyRing,
    hash_key: bytes | None,
    *,
    patience: float = 60.0,
    beat: Beat | None = None,
) -> Report:
    """Compare a whole version with the store. Raises TransientError: its group did not pass the ends in time."""
    spec = spec_of(version)
    ends = await kafka.ends(version.topics)
    await wait_until_passed(worker, [version.group.name], ends, patience, beat)
    look = _Look(spec, version, Opener(spec, ring, hash_key))
    after: tuple[str, str] = ("", "")
    while True:
        async with tenants_transaction(worker, tenants) as conn:
            following = await look.page(conn, after)
        if following is None:
            break
        after = following
        if beat is not None:
            await beat()
    orphans = await _orphans(worker, tenants, version)
    behind = await events_after(worker, kafka, version.topics, ends, [pair.newer for pair in look.older])
    late = [difference for pair in look.older if (difference := judge(pair, behind))]
    found = [*look.found, *late, *orphans, *look.unjudged()]
    async with worker.acquire() as conn:
        now = await conn.fetchval("select cs_now()")
    return Report(
        old="the store",
        new=version.label,
        compared_at=now,
        equal=not found,
        old_rows=look.cases,
        new_rows=look.rows,
        moving=len(look.older) - len(late),
        differences=len(found),
        sample=tuple(found[:SAMPLE]),
        unequal_parts=(),
        parts=dict[int, tuple[Sums, Sums]](),
        columns=tuple(column.name for column in spec.columns),
        left_out={},
    )


class _Look:
    """What has been seen so far. `older`: cases whose row is older than the case, to be judged by where the newer event is."""

    def __init__(self, spec: TableSpec, version: TableVersion, opener: Opener) -> None:
        self._spec, self._version, self._opener = spec, version, opener
        self.cases = self.rows = self._unlisted = 0
        self.found: list[Difference] = []
        self.older: list[Pair] = []

    async def page(self, conn: Connection, after: tuple[str, str]) -> tuple[str, str] | None:
        """Look at the cases behind this key; the last key, or None when there are none."""
        heads = await queries.list_case_heads(
            conn, tenant=after[0], case_id=after[1], classes=sorted(self._opener.classes), most=PAGE
        )
        if not heads:
            return None
        keys = [head["tenant_id"] for head in heads], [head["case_id"] for head in heads]
        rows = {(row["tenant_id"], row["case_id"]): row for row in await conn.fetch(rows_statement(self._version.table), *keys)}
        self.cases += len(heads)
        self.rows += len(rows)
        for head in heads:
            row = rows.get((head["tenant_id"], head["case_id"]))
            shown = None if row is None else row["snapshot_version"]
            if shown != head["version"] and len(self.older) < MOST_OLDER:
                self.older.append(Pair(head["tenant_id"], head["case_id"], head["version"], shown))
            elif shown != head["version"]:
                self._unlisted += 1
        await self._judge(conn, list(rows.values()), keys)
        return heads[-1]["tenant_id"], heads[-1]["case_id"]

    def unjudged(self) -> list[Difference]:
        """What must not pass for equality, however many cases it is."""
        if not self._unlisted:
            return []
        why = f"{self._unlisted} more cases have an older row or none: let the version catch up"
        return [Difference("", "", None, None, why)]

    async def _judge(self, conn: Connection, rows: Sequence[Mapping[str, Any]], keys: tuple[list[str], list[str]]) -> None:
        stored = await queries.find_stored(
            conn,
            tenant_ids=[row["tenant_id"] for row in rows],
            case_ids=[row["case_id"] for row in rows],
            versions=[row["snapshot_version"] for row in rows],
        )
        snapshots = {
            (one["tenant_id"], one["case_id"]): Snapshot(
                one["tenant_id"], one["case_id"], one["class_name"], one["version"], one["subject_id"], one["snapshot"]
            )
            for one in stored
        }
        # Before a subject is held: a shred must not wait behind a key service. Nothing is written here, so no relay waits.
        await self._opener.warm(snapshots.values())
        held = await self._opener.hold(conn, snapshots.values())
        children = {child.name: await self._children(conn, child.name, keys) for child in self._spec.children}
        for row in rows:
            key = row["tenant_id"], row["case_id"]
            snapshot = snapshots.get(key)
            if snapshot is None:
                self._differ(row, "the store has no such version of the case", ())
                continue
            try:
                expected, _ = self._opener.row(snapshot, held)
            except PermanentError as error:
                self._differ(row, f"the stored snapshot gives no row ({error.reason})", ())
                continue
            columns = self._unequal(row, expected, {name: lines.get(key, []) for name, lines in children.items()})
            if columns:
                self._differ(row, "the row is not what its snapshot gives", columns)

    def _unequal(
        self, row: Mapping[str, Any], expected: CaseRow, children: Mapping[str, Sequence[tuple[Any, ...]]]
    ) -> tuple[str, ...]:
        if row["tombstone"] != expected.tombstone:
            return ("tombstone",)
        values = expected.values or (None,) * len(self._spec.columns)
        unequal = [
            column.name
            for column, value in zip(self._spec.columns, values, strict=True)
            if not same(column, row[column.name], value)
        ]
        for child in self._spec.children:
            wanted = sorted(expected.children.get(child.name, ()))
            found = sorted(children[child.name])
            if len(wanted) != len(found) or not all(
                mine[0] == theirs[0]
                and all(same(column, a, b) for column, a, b in zip(child.columns, mine[1:], theirs[1:], strict=True))
                for mine, theirs in zip(found, wanted, strict=True)
            ):
                unequal.append(child.name)
        return tuple(unequal)

    async def _children(
        self, conn: Connection, child: str, keys: tuple[list[str], list[str]]
    ) -> dict[tuple[str, str], list[tuple[Any, ...]]]:
        found: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
        for row in await conn.fetch(rows_statement(ddl.table_name(child, self._version.version)), *keys):
            tenant, case_id, *rest = row.values()
            found.setdefault((tenant, case_id), []).append(tuple(rest))
        return found

    def _differ(self, row: Mapping[str, Any], reason: str, columns: tuple[str, ...]) -> None:
        if len(self.found) < MOST_FOUND:
            number = row["snapshot_version"]
            self.found.append(Difference(row["tenant_id"], row["case_id"], number, number, reason, columns))


def same(column: ColumnSpec, found: Any, expected: Any) -> bool:
    """Whether a stored value is the projected one: jsonb keeps no spaces and no order of members, numbers no zeros."""
    if column.type == "jsonb" and column.sensitivity == "none" and found is not None and expected is not None:
        return bool(_parsed(found) == _parsed(expected))
    return bool(found == expected)


def _parsed(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


# The table's name is quoted by ddl.quote; keys are parameters.
def rows_statement(table: str) -> str:
    """Rows of these cases ($1 tenants, $2 cases), looked up from the keys: the table may never have been analyzed."""
    place = f"{ddl.quote(ddl.SCHEMA)}.{ddl.quote(table)}"
    found = f"select * from {place} t where t.tenant_id = k.tenant_id and t.case_id = k.case_id offset 0"  # noqa: S608
    return f"select r.* from unnest($1::text[], $2::text[]) as k (tenant_id, case_id) cross join lateral ({found}) r"  # noqa: S608


async def _orphans(worker: asyncpg.Pool, tenants: Sequence[str], version: TableVersion) -> list[Difference]:
    """Rows of cases that the store does not know."""
    place = ddl.place(version.name, version.version)
    statement = (
        f"select t.tenant_id, t.case_id, t.snapshot_version from {place} t where not exists (select from cases c"  # noqa: S608
        " where c.tenant_id = t.tenant_id and c.case_id = t.case_id) order by 1, 2 limit $1"
    )
    async with worker.acquire() as conn, conn.transaction(readonly=True):
        await without_time_limits(conn, tenants)
        rows = await conn.fetch(statement, SAMPLE, timeout=3600.0)
    return [Difference(row[0], row[1], None, row[2], "the store has no such case") for row in rows]
