"""Whether two versions of a table say the same, while both are being written (P6, DESIGN section 8).

    1 note each partition's end E                     2 wait until both groups have passed E
    3 in ONE repeatable-read snapshot: pairs that are not simply equal, child rows, sums and counts per part
    4 the events behind E, from the topic and from the outbox: only what is newer there may be on one side alone
    5 anything else is a difference

Step 3 reads whole tables, so the role's time limits are switched off for this one read-only transaction and for nothing
else; it has no transaction id, so it stops no relay's floor. Step 4 comes after the snapshot: an event that one side had
applied by then was published before that, or (by way of the store) lies in the outbox; both are asked in that order.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from domain.rebuilds.decisions import has_passed
from projections import ddl_orders
from projections.rebuild.comparing import children_statement, pairs_statement, sample_statement, sums_statement
from projections.rebuild.measuring import find_positions
from projections.rebuild.shapes import Common, TableShape, common_of, shape_of_builtin, shape_of_spec
from projections.rebuild.topics import Broker
from projections.rebuild.verdicts import Difference, Pair, Place, Sums, judge, unequal_parts
from projections.versions import TableVersion
from runtime.failpoints import reach
from runtime.logging import get_logger
from runtime.postgres import array_literal
from runtime.sql import Connection, load_queries
from schemas import registry
from schemas.errors import TransientError

log = get_logger(__name__)
queries = load_queries(__file__, "rebuild.sql")

# More keys than this are not judged one by one: then the tables are not the same, or a group stands still.
MOST_PAIRS = 20_000
SAMPLE = 20
COMPARE_SECONDS = 3600.0
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Report:
    """A comparison's outcome. Ids, counts and hashes; the values of rows stand in no report."""

    old: str
    new: str
    compared_at: datetime
    equal: bool
    old_rows: int
    new_rows: int
    moving: int
    differences: int
    sample: tuple[Difference, ...]
    unequal_parts: tuple[int, ...]
    parts: Mapping[int, tuple[Sums, Sums]]
    columns: tuple[str, ...]
    left_out: Mapping[str, str]
    ends: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For the order's row, the API and `--output json`."""
        plain = asdict(self)
        plain["compared_at"] = self.compared_at.isoformat()
        plain["parts"] = {
            str(part): {"old_rows": old.rows, "new_rows": new.rows, "old_hash": old.hash, "new_hash": new.hash}
            for part, (old, new) in sorted(self.parts.items())
        }
        return plain


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the snapshot showed."""

    at: datetime
    pairs: list[Pair]
    orphans: list[Difference]
    old: dict[int, Sums]
    new: dict[int, Sums]


Beat = Callable[[], Awaitable[None]]


async def compare(
    worker: asyncpg.Pool,
    kafka: Broker,
    tenants: Sequence[str],
    old: TableVersion,
    new: TableVersion,
    *,
    patience: float = 60.0,
    beat: Beat | None = None,
) -> Report:
    """Compare two versions. `tenants`: those whose rows are compared. Raises TransientError: a group did not pass E in time."""
    trial = new.trial_tenant or old.trial_tenant
    ends = await kafka.ends(new.topics)
    await reach("parity.after-note")
    await wait_until_passed(worker, [old.group.name, new.group.name], ends, patience, beat)
    shapes = [await shape_of(worker, version) for version in (old, new)]
    common = common_of(shapes[0], shapes[1])
    seen = await _look(worker, tenants, shapes, common, trial)
    after = await events_after(worker, kafka, new.topics, ends, [pair.newer for pair in seen.pairs if _moves(pair)])
    pairs = await _of_common_classes(worker, tenants, common, seen.pairs)
    found = [difference for pair in pairs if (difference := judge(pair, after))] + seen.orphans
    unequal = unequal_parts(seen.old, seen.new)
    found += _unjudged(seen, found, unequal)
    parts = {part: (seen.old.get(part, Sums(0, "0")), seen.new.get(part, Sums(0, "0"))) for part in {*seen.old, *seen.new}}
    return Report(
        old=old.label,
        new=new.label,
        compared_at=seen.at,
        equal=not found,
        old_rows=sum(sums.rows for sums in seen.old.values()),
        new_rows=sum(sums.rows for sums in seen.new.values()),
        moving=sum(judge(pair, after) is None for pair in pairs),
        differences=len(found),
        sample=tuple(found[:SAMPLE]),
        unequal_parts=tuple(unequal),
        parts=parts,
        columns=tuple(common.columns),
        left_out=common.left_out,
        ends={f"{place.topic}-{place.partition}": end for place, end in sorted(ends.items())},
    )


def _unjudged(seen: _Seen, found: Sequence[Difference], unequal: Sequence[int]) -> list[Difference]:
    """What must not pass for equality: more pairs than were looked at, and sums that contradict the rows."""
    if len(seen.pairs) >= MOST_PAIRS:
        return [Difference("", "", None, None, f"more than {MOST_PAIRS} rows differ or are on their way: let both catch up")]
    if unequal and not found:
        return [Difference("", "", None, None, f"the sums of {len(unequal)} parts differ although no row does: report this")]
    return []


def _moves(pair: Pair) -> bool:
    return pair.old_version != pair.new_version


async def wait_until_passed(
    worker: asyncpg.Pool, groups: Sequence[str], ends: Mapping[registry.Place, int], patience: float, beat: Beat | None
) -> None:
    """Step 2. Raises TransientError that names the group which stands before an end."""
    deadline = asyncio.get_running_loop().time() + patience
    for group in groups:
        while True:
            async with worker.acquire() as conn:
                positions = await find_positions(conn, group)
            if has_passed(positions, ends):
                break
            if asyncio.get_running_loop().time() > deadline:
                behind = sum(max(0, end - positions.get(place, 0)) for place, end in ends.items())
                raise TransientError(
                    f"group {group} did not reach the topic's ends within {patience:g} s: {behind} records are left."
                    " Is it running (`casestream run projections`)?"
                )
            if beat is not None:
                await beat()
            await asyncio.sleep(_LOOK_SECONDS)


async def shape_of(worker: asyncpg.Pool, version: TableVersion) -> TableShape:
    """What the comparison needs to know of a version."""
    if version.spec is not None:
        return shape_of_spec(ddl_orders.spec_of(version), version.version)
    async with worker.acquire() as conn:
        rows = await queries.list_columns(conn, table=f"projections.{version.table}")
    return shape_of_builtin(version.name, version.version, {row["name"]: row["type"] for row in rows})


async def _look(
    worker: asyncpg.Pool, tenants: Sequence[str], shapes: Sequence[TableShape], common: Common, trial: str | None
) -> _Seen:
    """Step 3: everything in one snapshot."""
    old, new = shapes
    async with worker.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        await without_time_limits(conn, tenants)
        rows = await _fetch(conn, pairs_statement(old, new, common), trial, MOST_PAIRS)
        await reach("parity.in-snapshot")
        pairs = [_pair(row) for row in rows]
        orphans = [
            _child_difference(child, row)
            for child in common.children
            for row in await _fetch(conn, children_statement(child, old, new, common), trial, MOST_PAIRS)
        ]
        keys = [pair.newer for pair in pairs if _moves(pair)]
        leave_out = [key.tenant_id for key in keys], [key.key for key in keys]
        sums = [
            {
                row["part"]: Sums(row["rows"], row["hash"])
                for row in await _fetch(conn, sums_statement(shape, common), trial, *leave_out)
            }
            for shape in shapes
        ]
        at = await conn.fetchval("select cs_now()")
    return _Seen(at, pairs, orphans, sums[0], sums[1])


async def without_time_limits(conn: Connection, tenants: Sequence[str]) -> None:
    """For this transaction only, which must be read-only: a whole table takes longer than the role's limits."""
    assert await conn.fetchval("select current_setting('transaction_read_only')") == "on", "only a reader may take its time"
    for limit in ("statement_timeout", "transaction_timeout", "idle_in_transaction_session_timeout"):
        await conn.execute(f"set local {limit} = 0")
    await conn.execute("select set_config('app.tenants', $1, true)", array_literal(tenants))


async def _fetch(conn: Any, statement: str, *arguments: Any) -> list[Any]:
    return await conn.fetch(statement, *arguments, timeout=COMPARE_SECONDS)  # type: ignore[no-any-return]


def _pair(row: Mapping[str, Any]) -> Pair:
    return Pair(
        row["tenant_id"],
        row["key"],
        row["old_version"],
        row["new_version"],
        row["old_tombstone"],
        row["new_tombstone"],
        row["class_name"],
        tuple(row["columns"]),
    )


def _child_difference(child: str, row: Mapping[str, Any]) -> Difference:
    what = "child rows without a parent" if row["orphaned"] else f"{row['differing']} rows of {child} differ"
    return Difference(row["tenant_id"], row["key"], row["version"], row["version"], what, (child,))


async def events_after(
    worker: asyncpg.Pool,
    kafka: Broker,
    topics: Collection[str],
    ends: Mapping[registry.Place, int],
    wanted: Collection[Place],
) -> set[Place]:
    """Step 4: of the wanted events, those that lie behind the ends. First the outbox, then the topic up to its end now."""
    if not wanted:
        return set()
    async with worker.acquire() as conn:
        rows = await queries.find_in_outbox(
            conn,
            tenant_ids=[place.tenant_id for place in wanted],
            keys=[place.key for place in wanted],
            topics=list(topics),
        )
    unsent = {Place(row["tenant_id"], row["aggregate_id"], row["sequence"]) for row in rows}
    now = await kafka.ends(topics)
    sent = await kafka.events_between({place: ends.get(place, 0) for place in now}, now, wanted)
    return (unsent & set(wanted)) | sent


async def _of_common_classes(worker: asyncpg.Pool, tenants: Sequence[str], common: Common, pairs: Sequence[Pair]) -> list[Pair]:
    """Leave out rows of classes that only one version has. A tombstone tells no class; the store knows it."""
    if common.all_rows:
        return list(pairs)
    unknown = [pair.newer for pair in pairs if pair.class_name is None]
    async with worker.acquire() as conn, conn.transaction(readonly=True):
        await conn.execute("select set_config('app.tenants', $1, true)", array_literal(tenants))
        rows = await queries.find_classes(
            conn,
            tenant_ids=[place.tenant_id for place in unknown],
            case_ids=[place.key for place in unknown],
        )
    classes = {(row["tenant_id"], row["case_id"]): row["class_name"] for row in rows}
    return [pair for pair in pairs if (pair.class_name or classes.get((pair.tenant_id, pair.key))) in common.classes]


async def values_of_sample(
    worker: asyncpg.Pool, tenants: Sequence[str], old: TableVersion, new: TableVersion, report: str | Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The differing rows of a stored report with both sides' values, sensitive ones masked: for the terminal alone."""
    plain: Mapping[str, Any] = json.loads(report) if isinstance(report, str) else report
    sample = plain["sample"]
    shapes = [await shape_of(worker, version) for version in (old, new)]
    columns = sorted({name for one in sample for name in one["columns"] if name in shapes[0].columns})
    async with worker.acquire() as conn, conn.transaction(readonly=True):
        await conn.execute("select set_config('app.tenants', $1, true)", array_literal(tenants))
        keys = [one["tenant_id"] for one in sample], [one["key"] for one in sample]
        sides = [
            {(row["tenant_id"], row["key"]): row for row in await conn.fetch(sample_statement(shape, columns), *keys)}
            for shape in shapes
        ]
    lines = []
    for one in sample:
        rows = [side.get((one["tenant_id"], one["key"])) for side in sides]
        values = {name: [_shown(shapes[1], name, row) for row in rows] for name in one["columns"] if name in columns}
        lines.append({**one, "values": values})
    return lines


def _shown(shape: TableShape, column: str, row: Any) -> str | None:
    if row is None or row[column] is None:
        return None
    sensitivity = shape.columns[column].sensitivity if column in shape.columns else "mask"
    return str(row[column]) if sensitivity == "none" else "***"
