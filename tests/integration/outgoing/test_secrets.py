"""Secrets of tenants: sealed in their place, two live values while they change, and gone when their key is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from domain.secrets import commands, reads
from domain.secrets.reads import live_secrets
from domain.secrets.sealing import SUBJECT
from runtime.keys.ring import KeyRing
from runtime.postgres import tenants_transaction
from runtime.sql import Connection
from schemas.errors import DecryptionFailed, NotFound, Rejected
from tests.infrastructure.databases import ClonedDatabase
from workers.senders.secrets_access import stored_secrets

Pools = dict[str, asyncpg.Pool]
CANARY = "canary-7f3a"


@asynccontextmanager
async def acting(pools: Pools, tenant: str = "acme") -> AsyncIterator[Connection]:
    async with tenants_transaction(pools["worker"], [tenant]) as conn:
        yield conn


async def put(pools: Pools, ring: KeyRing, value: str, name: str = "token", tenant: str = "acme", lives: int = 60) -> int:
    async with acting(pools, tenant) as conn:
        version = await commands.put_secret(conn, ring, tenant, name, value, actor="an", previous_lives_seconds=lives)
        assert isinstance(version, int)
        return version


async def live(pools: Pools, ring: KeyRing, *names: str, tenant: str = "acme") -> dict[str, tuple[str, ...]]:
    async with acting(pools, tenant) as conn:
        found = await live_secrets(conn, ring, tenant, names or ("token",))
        return {name: secret.values for name, secret in found.items()}


@pytest.mark.requirement("trap-33")
async def test_a_secret_is_read_back_by_a_sender_and_by_no_query(pools: Pools, ring: KeyRing) -> None:
    assert await put(pools, ring, CANARY) == 1
    assert await live(pools, ring, "token", "unknown") == {"token": (CANARY,)}
    senders = stored_secrets(pools["worker"], ring)
    assert (await senders("acme", ["token"]))["token"].newest == CANARY
    async with acting(pools) as conn:
        listed = await reads.list_secrets(conn, "acme")
        assert await reads.known_secrets(conn, "acme", ["token", "other"]) == {"token"}
    assert CANARY not in str(listed)
    dump = "select string_agg(v::text, '') from tenant_secret_values v"
    assert CANARY.encode().hex() not in await pools["superuser"].fetchval(dump)


async def test_calls_that_begin_together_share_a_read_and_each_gets_its_own(
    pools: Pools, ring: KeyRing, database: ClonedDatabase
) -> None:
    await put(pools, ring, "one")
    await put(pools, ring, "broken", name="broken")
    await pools["superuser"].execute("update tenant_secret_values set sealed = sealed || 'x' where name = 'broken'")
    reads_made = list[object]()

    async def count(conn: Any) -> None:
        reads_made.append(conn)

    async with asyncpg.create_pool(database.url("worker"), setup=count) as pool:
        senders = stored_secrets(pool, ring)
        asked = await asyncio.gather(*(senders("acme", ["token"]) for _ in range(100)))
        assert [found["token"].newest for found in asked] == ["one"] * 100
        assert len(reads_made) <= 2

        # What does not open is the trouble of those who named it.
        first, second, third = await asyncio.gather(
            senders("acme", ["token"]), senders("acme", ["broken"]), senders("acme", ["token"]), return_exceptions=True
        )
        assert isinstance(second, DecryptionFailed)
        for found in (first, third):
            assert not isinstance(found, BaseException)
            assert found["token"].newest == "one"

        # A read that begins later sees what was put before.
        await put(pools, ring, "two")
        assert (await senders("acme", ["token"]))["token"].newest == "two"


async def test_the_value_before_lives_as_long_as_was_said_and_older_ones_are_gone(pools: Pools, ring: KeyRing) -> None:
    for value in ("first", "second", "third"):
        await put(pools, ring, value)
    assert await live(pools, ring) == {"token": ("third", "second")}
    assert await pools["superuser"].fetchval("select count(*) from tenant_secret_values") == 2
    await pools["superuser"].execute(
        "update tenant_secret_values set live_until = now() - interval '1 second' where live_until is not null"
    )
    assert await live(pools, ring) == {"token": ("third",)}
    await put(pools, ring, "fourth", lives=0)
    assert await live(pools, ring) == {"token": ("fourth",)}
    assert await pools["superuser"].fetchval("select count(*) from tenant_secret_values") == 1


async def test_a_removed_secret_is_gone_and_its_number_is_never_used_again(pools: Pools, ring: KeyRing) -> None:
    await put(pools, ring, "first")
    async with acting(pools) as conn:
        await commands.remove_secret(conn, "acme", "token", actor="an")
        with pytest.raises(NotFound):
            await commands.remove_secret(conn, "acme", "token", actor="an")
        assert await reads.list_secrets(conn, "acme") == []
    assert await live(pools, ring) == {}
    assert await put(pools, ring, "second") == 2


async def test_every_deed_is_in_the_audit_log_without_the_value(pools: Pools, ring: KeyRing) -> None:
    await put(pools, ring, CANARY)
    async with acting(pools) as conn:
        await commands.remove_secret(conn, "acme", "token", actor="binh")
    rows = await pools["superuser"].fetch("select actor, action, object_id, detail::text from audit_log order by at, audit_id")
    assert [(row["actor"], row["action"], row["object_id"]) for row in rows] == [
        ("an", "secret.put", "token"),
        ("binh", "secret.remove", "token"),
    ]
    assert CANARY not in str([tuple(row) for row in rows])


@pytest.mark.parametrize("column", ["name", "version", "tenant_id"])
async def test_a_value_opens_only_in_its_place(pools: Pools, ring: KeyRing, column: str) -> None:
    await put(pools, ring, CANARY)
    await put(pools, ring, "other", name="other")
    await put(pools, ring, "elsewhere", tenant="other")
    move = {
        "name": "update tenant_secret_values t set sealed = s.sealed from tenant_secret_values s"
        " where t.name = 'other' and s.name = 'token' and s.tenant_id = 'acme'",
        "version": "update tenant_secret_values set version = 7 where name = 'token' and tenant_id = 'acme'",
        "tenant_id": "update tenant_secret_values t set sealed = s.sealed from tenant_secret_values s"
        " where t.tenant_id = 'other' and s.tenant_id = 'acme' and s.name = 'token'",
    }[column]
    await pools["superuser"].execute(move)
    tenant, name = ("other", "token") if column == "tenant_id" else ("acme", "other" if column == "name" else "token")
    with pytest.raises(DecryptionFailed):
        await live(pools, ring, name, tenant=tenant)


async def test_a_tenant_reads_its_own_secrets_only(pools: Pools, ring: KeyRing) -> None:
    await put(pools, ring, CANARY)
    async with acting(pools, "other") as conn:
        assert await live_secrets(conn, ring, "acme", ["token"]) == {}
        assert await reads.list_secrets(conn, "acme") == []


async def test_when_the_tenants_key_is_destroyed_its_secrets_are_unreadable_and_none_is_put(
    pools: Pools, ring: KeyRing
) -> None:
    await put(pools, ring, CANARY)
    enter = "insert into shredded_subjects values ($1, $2, $3, now(), 'x', 'y')"
    await pools["superuser"].execute(enter, "acme", SUBJECT, uuid4())
    assert await live(pools, ring) == {}
    async with acting(pools) as conn:
        refused = await commands.put_secret(conn, ring, "acme", "token", "new", actor="an")
    assert isinstance(refused, Rejected)
    assert refused.code == "SubjectErased"
