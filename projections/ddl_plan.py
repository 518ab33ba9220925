"""What making a table version would mean, for somebody who must approve it: the SQL, its hash, rows, time, locks.

Reads and computes; orders nothing.
"""

from dataclasses import dataclass

from domain.cases.mapping.tables import TableSpec
from projections import ddl
from projections.ddl_orders import queries
from projections.versions import list_versions
from runtime.sql import Connection

CREATE_LOCKS = "new tables only: nobody waits for it"
SWITCH_LOCKS = "the view, for the moment in which it is replaced: given up after 100 ms and tried again"


@dataclass(frozen=True, slots=True)
class DdlPlan:
    """`seconds` is None until a rebuild of this installation has been measured; `sql` is a migration file's text."""

    name: str
    version: int
    changes: bool
    sql: str
    sha256: str
    snapshots: int
    seconds: float | None
    locks: tuple[str, ...]
    backfill: str


async def plan_ddl(conn: Connection, spec: TableSpec) -> DdlPlan:
    """The plan of the next version of this table. Raises ValueError for a spec that lint refuses."""
    versions = await list_versions(conn, spec.name)
    version = max((one.version for one in versions), default=0) + 1
    serving = next((one for one in versions if one.serves), None)
    statements = ddl.create_statements(spec, version)
    snapshots = int(await queries.estimate_snapshots(conn))
    speed = await queries.measured_speed(conn)
    sha256 = ddl.digest(statements)
    return DdlPlan(
        spec.name,
        version,
        serving is None or serving.fingerprint != spec.fingerprint(),
        f"-- {ddl.table_name(spec.name, version)}, sha256 {sha256}\n{ddl.text_of(statements)}",
        sha256,
        snapshots,
        snapshots / speed if speed else None,
        (CREATE_LOCKS, SWITCH_LOCKS),
        f"casestream projection rebuild {spec.name}; it orders exactly these statements, which wait for this hash",
    )
