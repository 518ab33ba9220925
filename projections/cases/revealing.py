"""The values that `sensitivity: encrypt` keeps of one case, found as an analyst sees them: by view and column (CD-4).

A value opens only at its place, so the row's own subject and version are read with it. What was read is opened after the
key was fetched, in a transaction of its own that holds the subject: whoever is shredded in between is not shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.cases.mapping.tables import ChildSpec, TableSpec
from domain.keys.guard import hold_subjects
from projections import ddl
from projections.cases.protection import key_id_of_column, open_column
from projections.ddl_orders import spec_of
from projections.versions import TableVersion, list_versions
from runtime.sql import Connection
from schemas.errors import DataKeyMissing, Rejected


@dataclass(frozen=True, slots=True)
class SealedValue:
    """One column value of one case: `position` is its place in the list of a child table; `sealed` None: there is no value."""

    tenant_id: str
    case_id: str
    subject_id: str
    snapshot_version: int
    column: str
    position: int | None
    sealed: bytes | None

    @property
    def key(self) -> tuple[str, str, UUID] | None:
        """Which data key opens it: (tenant, subject, key id)."""
        return None if self.sealed is None else (self.tenant_id, self.subject_id, key_id_of_column(self.sealed))


async def find_sealed(conn: Connection, view: str, column: str, tenant_id: str, case_id: str) -> list[SealedValue] | Rejected:
    """What the shown version of `analytics.<view>` has of the case in this column; nothing for a case that has no row."""
    place = _place(await list_versions(conn, states=["serving"]), view)
    if place is None:
        return Rejected("TableNotThere", f"no version of {view} is shown that a mapping made: see `casestream projection list`")
    version, table = place
    sensitivities = {each.name: each.sensitivity for each in table.columns}
    if sensitivities.get(column) != "encrypt":
        found = [name for name, sensitivity in sensitivities.items() if sensitivity == "encrypt"]
        has = ", ".join(found) or "none"
        return Rejected("ColumnNotSealed", f"{view} has no column {column} with `sensitivity: encrypt`; it has: {has}")
    rows = await conn.fetch(_statement(version, table, column), tenant_id, case_id)
    return [SealedValue(tenant_id, case_id, row[0], row[1], column, row[2], row[3]) for row in rows]


async def reveal(
    conn: Connection, values: Sequence[SealedValue], secrets: Mapping[UUID, bytes]
) -> list[tuple[int | None, str | None]] | Rejected:
    """Positions and values in clear, in the caller's transaction, which holds the subjects until it ends.

    Raises DataKeyMissing, DecryptionFailed.
    """
    if await hold_subjects(conn, list({(value.tenant_id, value.subject_id): None for value in values})):
        return Rejected("SubjectErased", "the person was erased meanwhile, and the key with it")
    return [(value.position, _opened(value, secrets)) for value in values]


def _opened(value: SealedValue, secrets: Mapping[UUID, bytes]) -> str | None:
    if value.sealed is None or value.key is None:
        return None
    secret = secrets.get(value.key[2])
    if secret is None:
        raise DataKeyMissing(f"data key {value.key[2]} is not in the keys database: restore it, then ask again")
    plain = open_column(
        secret, value.sealed, value.tenant_id, value.subject_id, value.case_id, value.snapshot_version, value.column
    )
    return plain.decode()


def _statement(version: TableVersion, table: TableSpec | ChildSpec, column: str) -> str:
    position = "null::integer" if isinstance(table, TableSpec) else "t.position"
    main, own = ddl.place(version.name, version.version), ddl.place(table.name, version.version)
    return (
        f"select m.subject_id, m.snapshot_version, {position} as position, t.{ddl.quote(column)} as sealed "  # noqa: S608 - quoted
        f"from {main} m join {own} t using (tenant_id, case_id) "
        "where m.tenant_id = $1 and m.case_id = $2 and m.tombstone is null order by position"
    )


def _place(serving: Sequence[TableVersion], view: str) -> tuple[TableVersion, TableSpec | ChildSpec] | None:
    for version in serving:
        if version.spec is not None:
            spec = spec_of(version)
            tables: tuple[TableSpec | ChildSpec, ...] = (spec, *spec.children)
            for table in tables:
                if table.name == view:
                    return version, table
    return None
