"""The store forgets nothing: not for its owner, not for a superuser, and it takes no version without the one before."""

import asyncpg
import pytest

from tests.integration.cases.conftest import Cases, order

REFUSED = asyncpg.InsufficientPrivilegeError
CHANGES = (
    "update sys_case_data_store set snapshot = 'x'",
    "update sys_case_data_store set version = 9",
    "delete from sys_case_data_store",
    "truncate sys_case_data_store",
    "truncate sys_case_data_store, cases cascade",
)


@pytest.mark.requirement("CD-2")
@pytest.mark.parametrize("role", ["migrate", "superuser"])
async def test_update_delete_and_truncate_are_refused(cases: Cases, role: str) -> None:
    await cases.store(order())
    pool = await cases.world.pool(role)  # type: ignore[arg-type]
    for statement in CHANGES:
        with pytest.raises(REFUSED, match="append-only"):
            await pool.execute(statement)
    assert await cases.versions("c-1") == [1]


@pytest.mark.requirement("CD-2")
async def test_not_even_a_session_that_replays_replication_skips_the_triggers(cases: Cases) -> None:
    await cases.store(order())
    async with (await cases.world.pool("superuser")).acquire() as conn:
        await conn.execute("set session_replication_role = replica")
        for statement in CHANGES:
            with pytest.raises(REFUSED, match="append-only"):
                await conn.execute(statement)
        await conn.execute("reset session_replication_role")


@pytest.mark.requirement("CD-2")
@pytest.mark.parametrize("version", [1, 3])
async def test_a_version_twice_or_without_its_predecessor_is_refused(cases: Cases, version: int) -> None:
    await cases.store(order())
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await (await cases.world.pool("migrate")).execute(
            "insert into sys_case_data_store (tenant_id, case_id, version, class_name, subject_id, snapshot, stored_at, "
            "stored_by, source) values ('north', 'c-1', $1, 'x', 's', 'x', now(), 'u', 'KAFKA')",
            version,
        )


@pytest.mark.requirement("CD-2")
@pytest.mark.parametrize("role", ["api", "worker"])
async def test_production_roles_may_only_add(cases: Cases, role: str) -> None:
    await cases.store(order())
    pool = await cases.world.pool(role)  # type: ignore[arg-type]
    for statement in (*CHANGES, "delete from cases", "update cases set subject_id = 'other'"):
        with pytest.raises(REFUSED, match="permission denied"):
            await pool.execute(statement)
