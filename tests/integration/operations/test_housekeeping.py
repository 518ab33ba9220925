"""What housekeeping removes, and what it never does (SP-3)."""

import asyncio
import time
from datetime import timedelta

import asyncpg
import pytest

from runtime.settings import HousekeepingSettings
from schemas.registry import Group
from tests.integration.operations.conftest import Park
from workers.housekeeping import tidy
from workers.lease import Leadership, Lease, LostLease

GROUPS = (
    Group("forgets", ("crm.entity.events",)),
    Group("remembers", ("crm.entity.events",), inbox="forever"),
)
SETTINGS = HousekeepingSettings(batch_rows=2, inbox_margin_days=7)


@pytest.fixture
async def lease(scan: asyncpg.Pool) -> Lease:
    taken = await Leadership(scan, "worker/housekeeping", "test", life=60).take()
    assert taken is not None
    return taken


async def tenant(owner: asyncpg.Connection, name: str) -> None:
    await owner.execute("insert into tenants (tenant_id, name) values ($1, $1)", name)


async def seen(owner: asyncpg.Connection, tenant_id: str, group: str, days: float, count: int = 1) -> None:
    await owner.executemany(
        "insert into inbox values ($1, $2, 'upstream', gen_random_uuid()::text, now() - $3::interval)",
        [(tenant_id, group, timedelta(days=days))] * count,
    )


@pytest.mark.requirement("SP-3")
async def test_inbox_rows_go_after_retention_and_margin_and_never_for_ever_ones(
    scan: asyncpg.Pool, worker: asyncpg.Pool, owner: asyncpg.Connection, lease: Lease
) -> None:
    await tenant(owner, "acme")
    for group in ("forgets", "remembers"):
        await seen(owner, "acme", group, days=15, count=5)
        await seen(owner, "acme", group, days=13)
    # A stray command names a tenant that the directory does not know.
    await seen(owner, "stranger", "forgets", days=15)

    gone = await tidy(scan, worker, SETTINGS, lease, GROUPS)

    assert gone["inbox"] == 6
    left = await owner.fetch("select group_name, count(*) from inbox group by 1 order by 1")
    assert [tuple(row) for row in left] == [("forgets", 1), ("remembers", 6)]


@pytest.mark.requirement("SP-3")
async def test_what_the_publish_door_took_is_remembered_longer_than_its_topic_keeps_it(
    scan: asyncpg.Pool, worker: asyncpg.Pool, owner: asyncpg.Connection, lease: Lease
) -> None:
    await tenant(owner, "acme")
    for days in (15, 14.5, 14.1, 13.9, 0):
        await owner.execute(
            "insert into published_events values ('acme', 's', gen_random_uuid()::text, '', now() - $1::interval)",
            timedelta(days=days),
        )
    assert (await tidy(scan, worker, SETTINGS, lease, GROUPS))["published_events"] == 3
    assert await owner.fetchval("select count(*) from published_events") == 2


@pytest.mark.requirement("SP-3")
async def test_expired_idempotency_keys_go_for_every_tenant(
    scan: asyncpg.Pool, worker: asyncpg.Pool, owner: asyncpg.Connection, lease: Lease
) -> None:
    for name in ("acme", "other"):
        await tenant(owner, name)
        for key, expires in (("old1", "-1 hour"), ("old2", "-1 hour"), ("old3", "-1 hour"), ("young", "1 hour")):
            await owner.execute(
                """insert into idempotency_keys (tenant_id, principal, route, key, fingerprint, expires_at)
                   values ($1, 'p', 'r', $2, '\\x', now() + $3::text::interval)""",
                name, key, expires,
            )  # fmt: skip

    gone = await tidy(scan, worker, SETTINGS, lease, ())

    assert gone["idempotency_keys"] == 6
    assert await owner.fetchval("select array_agg(distinct key) from idempotency_keys") == ["young"]


@pytest.mark.requirement("SP-3")
async def test_values_of_secrets_go_when_they_count_no_longer(
    scan: asyncpg.Pool, worker: asyncpg.Pool, owner: asyncpg.Connection, lease: Lease
) -> None:
    for name in ("acme", "other"):
        await tenant(owner, name)
        await owner.execute(
            "insert into tenant_secrets (tenant_id, name, version, created_by, updated_by) values ($1, 's', 5, 'u', 'u')", name
        )
        for version, until in ((1, "-1 hour"), (2, "-1 hour"), (3, "-1 hour"), (4, "1 hour"), (5, None)):
            await owner.execute(
                "insert into tenant_secret_values values ($1, 's', $2, 'x', now() + $3::text::interval)", name, version, until
            )

    gone = await tidy(scan, worker, SETTINGS, lease, ())

    assert gone["tenant_secret_values"] == 6
    assert await owner.fetchval("select array_agg(distinct version) from tenant_secret_values") == [4, 5]


@pytest.mark.requirement("SP-3")
async def test_of_the_log_of_runs_only_old_shown_skips_go(
    scan: asyncpg.Pool, worker: asyncpg.Pool, owner: asyncpg.Connection, lease: Lease
) -> None:
    await tenant(owner, "acme")
    for sampled, days in ((True, 8), (True, 6), (False, 8), (False, 800)):
        await owner.execute(
            """insert into workflow_execution_logs
                   (tenant_id, id, rule_id, rule_version, rule_name, entity_type, entity_id, subject_id, trigger_type,
                    occurrence, status, started_at, completed_at, sampled)
               values ('acme', gen_random_uuid(), gen_random_uuid(), 1, 'n', 'LEAD', '42', 'LEAD/42', 'ON_UPDATE',
                       'o', 'SKIPPED', now() - $1::interval, now(), $2)""",
            timedelta(days=days), sampled,
        )  # fmt: skip

    gone = await tidy(scan, worker, SETTINGS, lease, ())

    assert gone["workflow_execution_logs"] == 1
    assert await owner.fetchval("select count(*) from workflow_execution_logs") == 3
    with pytest.raises(asyncpg.PostgresError):
        await owner.execute("delete from workflow_execution_logs")


@pytest.mark.requirement("SP-3")
async def test_unsent_parked_and_waiting_rows_stay_however_old(
    scan: asyncpg.Pool, worker: asyncpg.Pool, owner: asyncpg.Connection, lease: Lease, park: Park
) -> None:
    await tenant(owner, "acme")
    await park(1, group="forgets")
    await owner.execute("update parked_messages set parked_at = '1999-01-01'; update parked_keys set since = '1999-01-01'")
    await owner.execute(
        """insert into waiting_messages (group_name, topic, partition, "offset", tenant_id, source, aggregate, sequence,
                                         waiting_for, headers, timestamp, since)
           values ('forgets', 'crm.entity.events', 0, 1, 'acme', 's', 'a', 3, 2, '\\x', 0, '1999-01-01')"""
    )
    await owner.execute(
        """insert into outbox_events (event_id, tenant_id, shard, aggregate, aggregate_id, topic, event_type, headers,
                                      occurred_at, created_at, created_by)
           values (gen_random_uuid(), 'acme', 0, 'a', '1', 't', 'T', '\\x', '1999-01-01', '1999-01-01', 'u')"""
    )

    await tidy(scan, worker, SETTINGS, lease, GROUPS)

    for table in ("parked_messages", "parked_keys", "waiting_messages", "outbox_events"):
        assert await owner.fetchval(f"select count(*) from {table}") == 1, table


@pytest.mark.requirement("SP-7")
async def test_a_holder_whose_lease_was_taken_deletes_nothing(
    scan: asyncpg.Pool, worker: asyncpg.Pool, owner: asyncpg.Connection, lease: Lease
) -> None:
    await tenant(owner, "acme")
    await seen(owner, "acme", "forgets", days=15, count=3)
    await owner.execute("update leases set term = term + 1, owner = 'another' where name = 'worker/housekeeping'")

    # Its own clock still trusts the lease; the statement itself finds the other term.
    gone = await tidy(scan, worker, SETTINGS, lease, GROUPS)

    assert gone["inbox"] == 0
    lease.trusted_until = time.monotonic()
    with pytest.raises(LostLease):
        await tidy(scan, worker, SETTINGS, lease, GROUPS)
    assert await owner.fetchval("select count(*) from inbox") == 3


@pytest.mark.requirement("SP-7")
async def test_two_copies_at_once_remove_each_row_once(
    scan: asyncpg.Pool, worker: asyncpg.Pool, owner: asyncpg.Connection, lease: Lease
) -> None:
    await tenant(owner, "acme")
    await seen(owner, "acme", "forgets", days=15, count=40)

    rounds = await asyncio.gather(*(tidy(scan, worker, SETTINGS, lease, GROUPS) for _ in range(2)))

    assert sum(gone["inbox"] for gone in rounds) == 40
    assert await owner.fetchval("select count(*) from inbox") == 0


async def test_finished_effects_are_emptied_and_stay_and_ended_timers_go(
    scan: asyncpg.Pool, worker: asyncpg.Pool, owner: asyncpg.Connection, lease: Lease
) -> None:
    await tenant(owner, "acme")
    insert = (
        "insert into effects (tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, kind, endpoint, state,"
        " due_at, request, order_key, position, finished_at) values ('acme', gen_random_uuid(), 'run', $1, 1, '', 'webhook',"
        " 'e', $1, now(), 'r', 'idle', $2, now() - $3::interval)"
    )
    for state, position, days in (("succeeded", None, 8), ("canceled", None, 6), ("failed", None, 8), ("due", 1, None)):
        await owner.execute(insert, state, position, None if days is None else timedelta(days=days))
    await owner.execute(insert, "skipped", None, timedelta(days=30))
    await owner.execute(
        "insert into timers (tenant_id, timer_key, kind, due_at, state, ended_at) values"
        " ('acme', 'armed', 'k', now() - interval '9 days', 'armed', null),"
        " ('acme', 'old', 'k', now(), 'fired', now() - interval '8 days'),"
        " ('acme', 'young', 'k', now(), 'fired', now() - interval '6 days')"
    )
    await owner.execute(
        "insert into effect_order_keys (tenant_id, order_key, used_at) values ('acme', 'idle', now() - interval '2 days'),"
        " ('acme', 'free', now() - interval '2 days'), ('acme', 'used', now())"
    )

    gone = await tidy(scan, worker, SETTINGS, lease, GROUPS, payload_age=timedelta(days=7))

    assert {name: gone[name] for name in ("effects", "timers", "effect_order_keys")} == {
        "effects": 2, "timers": 1, "effect_order_keys": 1,
    }  # fmt: skip
    # A failed one may be tried again for longer; unfinished ones keep what they say.
    emptied = await owner.fetch("select owner_id from effects where request is null order by 1")
    assert [row["owner_id"] for row in emptied] == ["skipped", "succeeded"]
    assert await owner.fetchval("select count(*) from effects") == 5
    assert [row["timer_key"] for row in await owner.fetch("select timer_key from timers order by 1")] == ["armed", "young"]
    assert [row[0] for row in await owner.fetch("select order_key from effect_order_keys order by 1")] == ["idle", "used"]
