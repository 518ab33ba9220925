"""Parked messages as operators see and order them."""

import asyncpg
import pytest

from api.transactions import transaction
from domain.operations import parked
from domain.operations.parked import Selection
from processors.shell.offsets import queries as shell
from runtime.postgres import tenants_transaction
from schemas.errors import NotFound
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.operations.conftest import Park

GROUP, TOPIC = "work-items", "work-items.commands.v1"


async def orders(owner: asyncpg.Connection) -> dict[int, str | None]:
    return {row["offset"]: row["ordered"] for row in await owner.fetch('select "offset", ordered from parked_messages')}


async def test_causes_are_listed_with_their_counts(worker: asyncpg.Pool, park: Park) -> None:
    await park(1)
    await park(2, reason="follows", fingerprint="follows")
    await park(3, b"acme|work_item|i2")
    await park(4, None, fingerprint="f2", tenant="")

    rows = await parked.list_causes(worker, GROUP)  # type: ignore[arg-type]

    shown = [(row["fingerprint"], row["messages"], row["keys"], row["sample_error"]) for row in rows]
    assert shown == [
        ("f1", 2, 2, "an error at a place"),
        ("f2", 1, 0, "an error at a place"),
        ("follows", 1, 1, "an error at a place"),
    ]


@pytest.mark.hole("redrive-by-owner")
async def test_a_redrive_orders_every_row_of_the_keys_and_applies_nothing_itself(
    worker: asyncpg.Pool, owner: asyncpg.Connection, park: Park
) -> None:
    await park(1)
    await park(2, reason="follows", fingerprint="follows")
    await park(3, b"acme|work_item|i2", fingerprint="f2")
    await park(4, None)

    async with worker.acquire() as conn, conn.transaction():
        affected = await parked.select(conn, Selection(GROUP, fingerprint="f1"))
        assert await parked.order(conn, affected, "redrive", actor="cli:ann") == 2

    assert await orders(owner) == {1: "redrive", 2: "redrive", 3: None, 4: "redrive"}
    assert await owner.fetchval("select action from audit_log") == "parked.redrive"
    progress = await parked.progress(worker, affected)  # type: ignore[arg-type]
    assert (progress.ordered, progress.remaining) == (3, 3)


async def test_a_discard_gives_up_the_named_rows_and_redrives_the_rest_of_their_keys(
    worker: asyncpg.Pool, owner: asyncpg.Connection, park: Park
) -> None:
    await park(1)
    await park(2, reason="follows", fingerprint="follows")
    await park(3, b"acme|work_item|i2")

    async with worker.acquire() as conn, conn.transaction():
        affected = await parked.select(conn, Selection(GROUP, position=(TOPIC, 0, 1)))
        await parked.order(conn, affected, "discard", actor="cli:ann", reason="broken sender")

    assert await orders(owner) == {1: "discard", 2: "redrive", 3: None}
    assert await owner.fetchval("select reason from audit_log") == "broken sender"


async def test_nothing_parked_is_said_so(worker: asyncpg.Pool) -> None:
    async with worker.acquire() as conn:
        with pytest.raises(NotFound):
            await parked.select(conn, Selection(GROUP, fingerprint="f1"))


async def test_a_message_is_shown_without_contents_and_its_payload_only_with_an_audited_reason(
    worker: asyncpg.Pool, owner: asyncpg.Connection, park: Park
) -> None:
    await park(1, value=b"canary-4711")

    shown = await parked.show(worker, GROUP, TOPIC, 0, 1)  # type: ignore[arg-type]
    assert "canary-4711" not in str(shown)
    assert "acme|work_item" not in str(shown)
    assert shown["value_bytes"] == 11
    assert shown["headers"] == {"ce_type": "ApplyAction", "x-mail": "(11 bytes)"}
    assert await owner.fetchval("select count(*) from audit_log") == 0

    async with tenants_transaction(worker, ["acme"]) as conn:
        value = await parked.read_payload(conn, GROUP, TOPIC, 0, 1, actor="cli:ann", reason="a customer called")
    assert value == b"canary-4711"
    entry = await owner.fetchrow("select tenant_id, actor, action, reason from audit_log")
    assert tuple(entry) == ("acme", "cli:ann", "parked.read-payload", "a customer called")


@pytest.mark.requirement("SP-8")
async def test_an_incident_is_retried_over_http_for_its_own_tenant_only(
    database: ClonedDatabase, owner: asyncpg.Connection, park: Park
) -> None:
    await park(1)
    await park(2, b"other|work_item|i2", tenant="other")
    incident = {"object_id": GROUP, "fingerprint": "f1", "tenant_id": "acme", "incident_id": "n1"}

    async with asyncpg.create_pool(database.url("api"), min_size=1, max_size=1) as pool:
        async with transaction(pool, "acme") as conn:
            said = await parked.retry_parked(conn, incident, "ann")
        async with transaction(pool, "acme") as conn:
            foreign = await parked.retry_parked(conn, {**incident, "tenant_id": "other"}, "ann")

    assert "1 message(s) of 1 key(s)" in said
    assert "nothing" in foreign
    assert await orders(owner) == {1: "redrive", 2: None}


async def test_a_page_of_ordered_messages_is_bounded_by_bytes_too(worker: asyncpg.Pool, park: Park) -> None:
    """Five hundred parked snapshots of 900 kB fit neither into memory nor, decrypted, into one transaction."""
    for offset, size in enumerate([30, 80, 10, 10]):
        await park(offset, value=b"x" * size, ordered="redrive")

    async def page(bytes_: int) -> list[int]:
        places = {"topics": [TOPIC], "partitions": [0]}
        rows = await shell.find_ordered_messages(worker, group_name=GROUP, most=3, bytes=bytes_, **places)
        return [row["offset"] for row in rows]

    assert await page(10) == [0], "the first comes whatever its size"
    assert await page(100) == [0, 1]
    assert await page(1000) == [0, 1, 2]
