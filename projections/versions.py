"""The catalogue of table versions: which tables there are, in which versions, and what each version is at the moment.

    planned -> building -> ready -> serving <-> standby
       \\_________\\__________\\__________________/  -> retired

Every version is a table of its own, a consumer group of its own (`projections.<name>.v<n>`) and a dead letter topic of its
own. A version pins its resolved mapping in `spec`, so a later change of metadata changes no existing table. Built-in tables
(`schemas.registry.PROJECTION_VERSIONS`) stand in the same catalogue; their columns are the code's.

Never creates or drops a table of a mapping (`projections.ddl_orders` does, as the owner role), never begins a transaction.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from domain.cases.mapping.tables import TableSpec
from projections.cases.writing import writer_of
from runtime.sql import Connection, load_queries
from schemas.errors import ConcurrencyConflict, NotFound
from schemas.registry import PROJECTION_VERSIONS, Group, projection_group

queries = load_queries(__file__)

Kind = Literal["builtin", "cases"]
Source = Literal["topic", "store"]
State = Literal["planned", "building", "ready", "serving", "standby", "retired"]

CASE_TOPICS = ("case.snapshots.v1",)
BUILTIN_TOPICS: dict[str, tuple[str, ...]] = {table: topics for table, _, topics in PROJECTION_VERSIONS.values()}

# From -> to. `building` again: a rebuild that starts over; `ready` from `standby` there is none: switching back is instant.
TRANSITIONS: dict[State, frozenset[State]] = {
    "planned": frozenset({"building", "retired"}),
    "building": frozenset({"ready", "serving", "retired"}),
    "ready": frozenset({"building", "serving", "retired"}),
    "serving": frozenset({"standby"}),
    "standby": frozenset({"serving", "retired"}),
    "retired": frozenset(),
}
# Their tables exist and their consumers run.
ACTIVE: tuple[State, ...] = ("building", "ready", "serving", "standby")


@dataclass(frozen=True, slots=True)
class TableVersion:
    """A row of the catalogue. `spec` is the JSON text of a TableSpec, None for built-in tables."""

    name: str
    version: int
    kind: Kind
    topics: tuple[str, ...]
    spec: str | None
    fingerprint: str
    source: Source
    trial_tenant: str | None
    state: State
    reason: str
    created_by: str
    created_at: datetime
    state_since: datetime
    serving_version: int | None

    @property
    def label(self) -> str:
        """As people write it."""
        return f"{self.name}.v{self.version}"

    @property
    def table(self) -> str:
        """The table's own name, in schema `projections`."""
        return f"{self.name}__v{self.version}"

    @property
    def group(self) -> Group:
        """Its consumer group."""
        return projection_group(self.name, self.version, self.topics)

    @property
    def serves(self) -> bool:
        return self.serving_version == self.version


async def create_version(
    conn: Connection,
    table: TableSpec | str,
    *,
    by: str,
    source: Source = "topic",
    trial_tenant: str | None = None,
    reason: str = "",
) -> int:
    """Plan the next version of a table: of a mapping by its spec, of a built-in table by its name. Returns its number.

    Raises NotFound for a built-in table that the code does not have, ConcurrencyConflict when somebody else took the number.
    """
    name, kind, topics, spec, fingerprint = _described(table)
    await queries.insert_table(conn, name=name, kind=kind, topics=list(topics))
    version = await queries.insert_version(
        conn,
        name=name,
        spec=spec,
        fingerprint=fingerprint,
        source=source,
        trial_tenant=trial_tenant,
        reason=reason,
        created_by=by,
    )
    if version is None:
        raise ConcurrencyConflict("a number that nobody has", "one that was taken meanwhile")
    return int(version)


async def list_versions(
    conn: Connection, name: str | None = None, version: int | None = None, states: Collection[State] | None = None
) -> list[TableVersion]:
    """What the catalogue has, by name and number."""
    rows = await queries.list_versions(conn, name=name, version=version, states=None if states is None else sorted(states))
    return [_read(row) for row in rows]


async def find_version(conn: Connection, name: str, version: int) -> TableVersion:
    """One version. Raises NotFound."""
    found = await list_versions(conn, name, version)
    if not found:
        raise NotFound(f"table version {name}.v{version} does not exist: `casestream projection list` shows those that do")
    return found[0]


async def active_versions(conn: Connection) -> list[TableVersion]:
    """The versions whose tables exist and whose consumers are to run: what the fleet follows."""
    return await list_versions(conn, states=ACTIVE)


async def set_state(conn: Connection, name: str, version: int, from_states: Collection[State], to_state: State) -> bool:
    """Move a version if it is in one of `from_states`; False when it is in another one.

    Raises ValueError for a move that TRANSITIONS does not have: a bug of the caller.
    """
    if illegal := [state for state in from_states if to_state not in TRANSITIONS[state]]:
        raise ValueError(f"no version goes from {', '.join(sorted(illegal))} to {to_state}")
    moved = await queries.move_state(conn, name=name, version=version, from_states=sorted(from_states), to_state=to_state)
    return moved is not None


async def tombstones_of(conn: Connection, tenant_id: str, subject_id: str, most: int = 1000) -> int:
    """Make tombstones of a subject's rows in every version that has a table, building ones included; how many were made.

    At most `most` per version: call it, each time in a transaction of its own, until it answers 0.
    """
    # A retired version's table goes some seconds later, or when nothing of somebody else stands on it any more.
    known = [version for version in await list_versions(conn, states=(*ACTIVE, "retired")) if version.spec is not None]
    tables = set(await queries.find_tables(conn, tables=[version.table for version in known]))
    versions = [version for version in known if version.table in tables]
    return sum(
        [
            await writer_of(TableSpec.from_json(json.loads(version.spec or "")), version.version).erase(
                conn, tenant_id, subject_id, most
            )
            for version in versions
        ]
    )


async def create_missing_versions(conn: Connection, versions: Iterable[tuple[str, int]] | None = None) -> list[str]:
    """Create the tables of built-in versions that are not there yet nor retired, with the first version's columns and rights.

    Runs as the owner role, in `casestream db migrate`.
    """
    registered = [(table, number) for table, number, _ in PROJECTION_VERSIONS.values()]
    created = []
    retired = {(version.name, version.version) for version in await list_versions(conn, states=["retired"])}
    for table, number in registered if versions is None else versions:
        if (table, number) in retired:
            continue
        if await queries.create_table_version(conn, table_name=table, version=number):
            created.append(f"{table}__v{number}")
        await queries.insert_table(conn, name=table, kind="builtin", topics=list(BUILTIN_TOPICS[table]))
        await queries.insert_registered(conn, name=table, version=number)
    return created


def _described(table: TableSpec | str) -> tuple[str, Kind, Sequence[str], str | None, str]:
    """Name, kind, topics, spec, fingerprint."""
    if not isinstance(table, str):
        spec = json.dumps(table.to_json(), ensure_ascii=False)
        return table.name, "cases", CASE_TOPICS, spec, table.fingerprint()
    if table not in BUILTIN_TOPICS:
        raise NotFound(f"built-in table {table!r} does not exist: there are {', '.join(sorted(BUILTIN_TOPICS))}")
    return table, "builtin", BUILTIN_TOPICS[table], None, "builtin"


def _read(row: Mapping[str, Any]) -> TableVersion:
    return TableVersion(**{**row, "topics": tuple(row["topics"])})
