"""Notifications: one row for each active user, once, and gone with its subject."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from domain.effects.effect import ClaimedEffect, Outcome, RetryPolicy
from domain.notifications import reads
from domain.notifications.performing import KIND, notify
from domain.notifications.purge import NOTIFICATIONS
from runtime.postgres import tenants_transaction
from schemas.errors import NotFound
from schemas.outgoing import NotificationRequest

Pools = dict[str, asyncpg.Pool]
NOW = datetime.now(UTC)


@pytest.fixture
async def people(pools: Pools) -> Pools:
    """An and Binh work, Chi is switched off; the other tenant has an An of its own."""
    await pools["superuser"].executemany(
        "insert into users (tenant_id, user_id, display_name, active) values ($1, $2, $2, $3)",
        [("acme", "an", True), ("acme", "binh", True), ("acme", "chi", False), ("other", "an", True)],
    )
    return pools


def effect(*users: str, tenant: str = "acme", effect_id: UUID | None = None, **changes: Any) -> ClaimedEffect:
    request = NotificationRequest(title="Deal", message="50,000 USD", to_users=users or ("an",), priority="HIGH")
    given: dict[str, Any] = {
        "tenant_id": tenant,
        "id": effect_id or uuid4(),
        "owner_kind": "rule",
        "owner_id": "run-1",
        "index": 0,
        "occurrence": "e-1",
        "kind": KIND,
        "request": request.to_request(),
        "order_key": None,
        "endpoint": "",
        "subject_id": "LEAD/42",
        "retry": RetryPolicy(),
        "is_async": False,
        "attempt": 1,
        "failures": 0,
        "term": 1,
    }
    return ClaimedEffect(**{**given, **changes})


async def perform(pools: Pools, *effects: ClaimedEffect) -> Sequence[Outcome]:
    async with tenants_transaction(pools["worker"], ["acme", "other"]) as conn:
        return await notify(conn, effects, NOW)


async def own(pools: Pools, user: str, tenant: str = "acme") -> list[dict[str, Any]]:
    async with pools["api"].acquire() as conn, conn.transaction():
        await conn.execute("select set_config('app.tenant', $1, true)", tenant)
        return await reads.list_notifications(conn, tenant, user)


@pytest.mark.requirement("trap-44")
async def test_active_users_get_a_row_and_the_others_are_named(people: Pools) -> None:
    (outcome,) = await perform(people, effect("an", "binh", "chi", "nobody", "an"))
    assert (outcome.result, outcome.code) == ("succeeded", "")
    assert outcome.detail == {"notified": ["an", "binh"], "unknown": ["nobody"], "inactive": ["chi"]}
    assert [len(await own(people, user)) for user in ("an", "binh", "chi", "nobody")] == [1, 1, 0, 0]
    (row,) = await own(people, "an")
    assert (row["title"], row["message"], row["priority"], row["read_at"]) == ("Deal", "50,000 USD", "HIGH", None)


async def test_when_nobody_is_reached_it_has_failed(people: Pools) -> None:
    unreadable = effect(request={"title": ""})
    outcomes = await perform(people, effect("chi", "nobody"), effect(request=None), unreadable)
    assert [(one.result, one.code) for one in outcomes] == [
        ("failed", "no-active-user"),
        ("failed", "request-erased"),
        ("failed", "request-unreadable"),
    ]


@pytest.mark.requirement("trap-31")
async def test_performed_twice_it_is_there_once_and_stays_read(people: Pools) -> None:
    twice = effect("an")
    await perform(people, twice)
    async with people["api"].acquire() as conn, conn.transaction():
        await conn.execute("select set_config('app.tenant', 'acme', true)")
        first = await reads.mark_read(conn, "acme", "an", twice.id)
    await perform(people, twice, twice)
    (row,) = await own(people, "an")
    assert row["read_at"] == first["read_at"] is not None


async def test_tenants_keep_apart_in_one_batch(people: Pools) -> None:
    outcomes = await perform(people, effect("binh", tenant="other"), effect("binh"))
    assert [one.result for one in outcomes] == ["failed", "succeeded"]
    assert await own(people, "binh", "other") == []


async def test_reading_is_ones_own_and_counted(people: Pools) -> None:
    effects = [effect("an", "binh") for _ in range(3)]
    await perform(people, *effects)
    async with people["api"].acquire() as conn, conn.transaction():
        await conn.execute("select set_config('app.tenant', 'acme', true)")
        with pytest.raises(NotFound):
            await reads.mark_read(conn, "acme", "chi", effects[0].id)
        first = await reads.mark_read(conn, "acme", "an", effects[0].id)
        assert (await reads.mark_read(conn, "acme", "an", effects[0].id))["read_at"] == first["read_at"]
        assert await reads.count_unread(conn, "acme", "an") == 2
        assert len(await reads.list_notifications(conn, "acme", "an", unread_only=True)) == 2
        assert await reads.mark_all_read(conn, "acme", "an") == 2
        assert [await reads.count_unread(conn, "acme", user) for user in ("an", "binh")] == [0, 3]


async def test_pages_follow_each_other_also_within_one_instant(people: Pools) -> None:
    await perform(people, *(effect("an") for _ in range(5)))
    seen: list[UUID] = []
    after = None
    async with people["api"].acquire() as conn, conn.transaction():
        await conn.execute("select set_config('app.tenant', 'acme', true)")
        while rows := await reads.list_notifications(conn, "acme", "an", after=after, page_size=2):
            seen += [row["notification_id"] for row in rows]
            after = (rows[-1]["created_at"], rows[-1]["notification_id"])
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.requirement("trap-80")
async def test_what_tells_of_a_subject_goes_with_it(people: Pools) -> None:
    await perform(people, effect("an"), effect("an", subject_id="LEAD/43"), effect("an", tenant="other"))
    async with tenants_transaction(people["worker"], ["acme"]) as conn:
        assert await NOTIFICATIONS.purge(conn, "acme", "LEAD/42") == {"public.notifications": 1}
        assert await NOTIFICATIONS.purge(conn, "acme", "LEAD/42") == {"public.notifications": 0}
    assert await people["superuser"].fetchval("select count(*) from notifications") == 2
