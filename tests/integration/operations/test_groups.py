"""The groups' switch and overview, and incidents that close by themselves."""

import asyncpg

from domain.operations import endings, groups
from domain.operations.endings import close_ended
from tests.integration.operations.conftest import Park


async def open_incident(owner: asyncpg.Connection, kind: str, fingerprint: str, object_id: str, tenant: str = "") -> None:
    await owner.execute(
        """insert into incidents (tenant_id, incident_id, kind, fingerprint, object_type, object_id, summary, last_seen)
           values ($1, gen_random_uuid(), $2, $3, '', $4, 's', now() - interval '1 minute')""",
        tenant, kind, fingerprint, object_id,
    )  # fmt: skip


async def test_a_group_is_stopped_and_resumed_with_its_audit_and_its_incident(
    worker: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    await open_incident(owner, "group-stopped", "park-rate", "work-items")
    async with worker.acquire() as conn, conn.transaction():
        await groups.stop(conn, "work-items", actor="cli:ann", reason="deploying a fix")
        (row,) = [row for row in await groups.list_groups(conn) if row["group_name"] == "work-items"]
        assert (row["state"], row["reason"]) == ("stopped", "deploying a fix")

        await groups.resume(conn, "work-items", actor="cli:ann")

        (row,) = [row for row in await groups.list_groups(conn) if row["group_name"] == "work-items"]
    assert row["state"] == "running"
    assert await owner.fetchval("select count(*) from incidents where state = 'open'") == 0
    actions = await owner.fetchval("select array_agg(action order by action) from audit_log")
    assert actions == ["group.resume", "group.stop", "incident.resolve"]


async def test_the_overview_names_groups_that_only_left_rows(worker: asyncpg.Pool, park: Park) -> None:
    await park(1, group="retired")

    rows = {row["group_name"]: row for row in await groups.list_groups(worker)}  # type: ignore[arg-type]

    assert {"work-items", "projections.work_item_board.v1", "retired"} <= set(rows)
    assert (rows["retired"]["parked"], rows["retired"]["parked_keys"]) == (1, 1)


async def test_an_incident_closes_when_its_trouble_is_over_and_not_before(
    scan: asyncpg.Pool, owner: asyncpg.Connection, park: Park
) -> None:
    await park(1, tenant="acme", fingerprint="still-there")
    await open_incident(owner, "parked-messages", "still-there", "work-items", "acme")
    await open_incident(owner, "parked-messages", "redriven", "work-items", "acme")
    await open_incident(owner, "sequence-gap", "sequence-gap", "work-items/t/acme|work_item|i1", "acme")
    await open_incident(owner, "coupling-disagreement", "x", "i1", "acme")

    async with scan.acquire() as conn, conn.transaction():
        assert await close_ended(conn) == 2

    open_ones = await owner.fetchval("select array_agg(fingerprint order by fingerprint) from incidents where state = 'open'")
    assert open_ones == ["still-there", "x"]


async def test_a_gap_closes_only_when_nothing_of_its_own_aggregate_waits(scan: asyncpg.Pool, owner: asyncpg.Connection) -> None:
    """An aggregate's id may hold slashes: it is what stands behind the second one."""
    await wait_in_line(owner, "acme|work_item|a/b")
    for aggregate in ("acme|work_item|a/b", "acme|work_item|a", "b"):
        await open_incident(owner, "sequence-gap", "sequence-gap", f"work-items/t/{aggregate}", "acme")
    await open_incident(owner, "sequence-gap", "sequence-gap", "work-items/t/acme|work_item|a/b", "other")

    async with scan.acquire() as conn, conn.transaction():
        assert await close_ended(conn) == 3

    assert await owner.fetchval("select object_id from incidents where state = 'open'") == "work-items/t/acme|work_item|a/b"


async def test_open_gaps_are_joined_with_what_waits_in_one_pass(scan: asyncpg.Pool) -> None:
    plan = "\n".join(row[0] for row in await scan.fetch(f"explain {endings.queries.sql_of('close_ended_gaps')}"))
    assert "Anti Join" in plan
    assert "SubPlan" not in plan


async def wait_in_line(owner: asyncpg.Connection, aggregate: str) -> None:
    await owner.execute(
        """insert into waiting_messages (group_name, topic, partition, "offset", tenant_id, source, aggregate, sequence,
                                         waiting_for, headers, timestamp)
           values ('work-items', 't', 0, 1, 'acme', 's', $1, 3, 2, '', 0)""",
        aggregate,
    )
