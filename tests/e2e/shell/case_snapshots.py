"""Case snapshots for the conformance suite: sealed as the store seals them, under one key that every process knows."""

from base64 import b64encode
from dataclasses import replace
from uuid import UUID

import asyncpg

from domain.cases.mapping.tables import TableSpec, table_specs
from domain.cases.mapping_store import released_files
from projections import ddl_orders
from projections.cases.projector import CaseProjector
from projections.versions import CASE_TOPICS, create_version
from runtime.snapshots import Context, seal
from schemas.cases import CaseSnapshotStored
from schemas.envelope import CloudEvent
from schemas.registry import Group, projection_group
from tests.e2e.shell.harness import at, event, rows
from tests.infrastructure.databases import ClonedDatabase

CLASS, SUBJECT = "com.app.OrderCase", "s-1"
TABLE = "case_plain_order_case"
KEY_ID, SECRET = UUID(int=1), b"k" * 32
GROUP: Group = projection_group(TABLE, 1, CASE_TOPICS)


class OneKey:
    """A ring with one key, the same in every process: what a key ring answers while nothing is rotated or shredded."""

    async def secrets(self, wanted: list[tuple[str, str, UUID]]) -> dict[UUID, bytes]:
        return {KEY_ID: SECRET} if any(key_id == KEY_ID for _, _, key_id in wanted) else {}

    def is_forgotten(self, tenant: str, subject: str) -> bool:
        return False


def spec() -> TableSpec:
    specs, _ = table_specs(released_files())
    return next(one for one in specs if one.name == TABLE)


def projector() -> CaseProjector:
    return CaseProjector(spec(), 1, OneKey(), hash_key=b"h" * 32)


async def prepare(database: ClonedDatabase) -> None:
    """The table, as the ddl job makes it."""
    conn = await asyncpg.connect(database.url("migrate"))
    try:
        await create_version(conn, spec(), by="test")
        await ddl_orders.order(conn, "create", TABLE, 1, by="test")
        assert [one.state for one in await ddl_orders.execute_open(conn, development=True)] == ["executed"]
    finally:
        await conn.close()


def history(tenant: str, case_id: str, length: int) -> list[CloudEvent]:
    """The case's first versions, the same bytes each time; the total is the version."""
    return [stored(tenant, case_id, number, f'{{"total":{number}}}'.encode()) for number in range(1, length + 1)]


def stored(tenant: str, case_id: str, version: int, document: bytes) -> CloudEvent:
    place = Context(tenant, CLASS, case_id, version, SUBJECT, KEY_ID)
    sealed = seal(SECRET, place, document, salt=version.to_bytes(32, "big"), nonce=version.to_bytes(12, "big"))
    payload = CaseSnapshotStored(
        case_id=case_id, class_name=CLASS, version=version, subject_id=SUBJECT, snapshot=b64encode(sealed).decode()
    )
    made = event(payload, tenant, version, id=f"{case_id}-{version}", time=at(version))
    return replace(made, subject=case_id, partitionkey=f"{tenant}|case|{case_id}")


async def read(database: ClonedDatabase) -> dict[str, tuple[int, int]]:
    """Version and total of every case: both are the version that was applied last."""
    found = await rows(database, f"select case_id, snapshot_version, order_total from projections.{TABLE}__v1")
    assert all(row["order_total"] == row["snapshot_version"] for row in found)
    return {row["case_id"]: (row["snapshot_version"], row["snapshot_version"]) for row in found}
