"""The guard: shared locks of buckets, then the ledger; and why a cached key cannot outlive a shred."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest

from domain.keys.guard import BUCKETS, bucket_of, hold_alone, hold_subjects
from runtime.postgres import tenants_transaction

Pools = dict[str, asyncpg.Pool]
AN, BINH = ("acme", "an"), ("acme", "binh")
ENTER = "insert into shredded_subjects values ($1, $2, $3, now(), 'x', 'y')"


@pytest.mark.requirement("trap-80")
async def test_those_in_the_ledger_are_named(pools: Pools) -> None:
    await pools["superuser"].execute(ENTER, *AN, uuid4())
    async with tenants_transaction(pools["worker"], ["acme", "other"]) as conn:
        assert await hold_subjects(conn, [AN, BINH, ("other", "an")]) == {AN}
        assert await hold_subjects(conn, []) == set()
    async with pools["api"].acquire() as conn, conn.transaction():
        await conn.execute("select set_config('app.tenant', 'acme', true)")
        assert await hold_subjects(conn, [AN, BINH]) == {AN}


@pytest.mark.hole("shred-under-cached-key")
async def test_a_shred_waits_for_who_holds_the_subject_and_is_seen_by_who_comes_after(pools: Pools) -> None:
    """The interleaving that broke the design: a reader checked, the shred committed, the reader used its cached key."""
    worker = pools["worker"]
    async with tenants_transaction(worker, ["acme"]) as reader:
        assert await hold_subjects(reader, [AN]) == set()
        async with worker.acquire() as shredding, shredding.transaction():
            await shredding.execute("set local lock_timeout = '100ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await hold_alone(shredding, AN)

    async with worker.acquire() as shredding, shredding.transaction():
        await shredding.execute("select set_config('app.tenants', '{acme}', true)")
        await hold_alone(shredding, AN)
        async with tenants_transaction(worker, ["acme"]) as late:
            asking = asyncio.create_task(hold_subjects(late, [AN]))
            done, _ = await asyncio.wait({asking}, timeout=0.1)
            assert not done, "it waits for the shred instead of reading an old ledger"
            await shredding.execute(ENTER, *AN, uuid4())
            await shredding.execute("commit")
            assert await asking == {AN}
            await shredding.execute("begin")


async def test_an_older_snapshot_is_refused(pools: Pools) -> None:
    async with pools["worker"].acquire() as conn, conn.transaction(isolation="repeatable_read"):
        await conn.execute("select set_config('app.tenants', '{acme}', true)")
        with pytest.raises(RuntimeError, match="read committed"):
            await hold_subjects(conn, [AN])


@pytest.mark.parametrize("tenants", [[], ["other"]])
async def test_a_transaction_that_cannot_see_the_ledger_is_refused(pools: Pools, tenants: list[str]) -> None:
    """Row level security would answer "nobody is shredded"."""
    await pools["superuser"].execute(ENTER, *AN, uuid4())
    async with tenants_transaction(pools["worker"], tenants) as conn:
        with pytest.raises(RuntimeError, match="tenants"):
            await hold_subjects(conn, [AN])


async def test_a_batch_of_a_thousand_subjects_holds_at_most_a_lock_per_bucket(pools: Pools) -> None:
    subjects = [("acme", f"s{number}") for number in range(1000)]
    assert {bucket_of(subject) for subject in subjects} == set(range(BUCKETS))
    async with tenants_transaction(pools["worker"], ["acme"]) as conn:
        assert await hold_subjects(conn, subjects) == set()
        held = await conn.fetchval("select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()")
        assert held == BUCKETS


async def test_every_connection_may_hold_every_bucket(pools: Pools) -> None:
    """The bound that `guard` promises, as the server's own settings have it."""
    per_transaction = int(await pools["worker"].fetchval("show max_locks_per_transaction"))
    assert per_transaction >= BUCKETS, "half of the table of holders, whatever the number of connections"


def test_the_bucket_of_a_subject_never_changes() -> None:
    assert [bucket_of(subject) for subject in (AN, BINH, ("t", "ü"))] == [57, 48, 2]
    assert bucket_of(("ab", "c")) != bucket_of(("a", "bc"))


async def test_the_ledger_forgets_nothing(pools: Pools) -> None:
    await pools["superuser"].execute(ENTER, *AN, uuid4())
    for statement in ("delete from shredded_subjects", "truncate shredded_subjects"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pools["superuser"].execute(statement)


@pytest.mark.parametrize("role", ["api", "worker", "scan"])
async def test_no_role_renames_an_entry_and_the_http_door_makes_none(pools: Pools, role: str) -> None:
    async with pools[role].acquire() as conn, conn.transaction():
        await conn.execute("select set_config('app.tenant', 'acme', true), set_config('app.tenants', '{acme}', true)")
        if role == "api":
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with conn.transaction():
                    await conn.execute(ENTER, *AN, uuid4())
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute("update shredded_subjects set subject_id = 'z'")
