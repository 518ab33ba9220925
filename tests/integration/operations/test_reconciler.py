"""Coupled pairs that disagree become incidents, whatever tenant they belong to, and close when they agree again."""

import time

import asyncpg
import pytest
from prometheus_client import REGISTRY

from workers.lease import Lease, LostLease
from workers.reconciler import forget, reconcile

HELD = Lease("worker/reconciler", 1, trusted_until=time.monotonic() + 3600)


async def pair(owner: asyncpg.Connection, tenant: str, instance_status: str) -> None:
    await owner.execute("insert into tenants (tenant_id, name) values ($1, $1) on conflict do nothing", tenant)
    item = await owner.fetchval(
        """insert into work_items (tenant_id, id, status, version, event_sequence, history_length, coupling, title, priority,
                                   source, occurred_at, last_action_at, created_by, updated_by, updated_at)
           values ($1, gen_random_uuid(), 'open', 1, 1, 1, 'strong', 't', 'low', 'CRM_UI', now(), now(), 'u', 'u',
                   now() - interval '2 minutes') returning id""",
        tenant,
    )
    await owner.execute(
        """insert into work_item_instances (tenant_id, instance_id, work_item_id, cycle, status, since)
           values ($1, gen_random_uuid()::text, $2, 0, $3, now() - interval '2 minutes')""",
        tenant, item, instance_status,
    )  # fmt: skip


@pytest.mark.requirement("WI-7")
async def test_pairs_of_every_tenant_are_found_and_closed_again(
    scan: asyncpg.Pool, worker: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    await pair(owner, "acme", "completed")
    await pair(owner, "other", "completed")
    await pair(owner, "acme", "running")

    await reconcile(scan, worker, HELD)

    tenants = await owner.fetch("select tenant_id from incidents where kind = 'coupling-disagreement' order by 1")
    assert [row["tenant_id"] for row in tenants] == ["acme", "other"]

    await owner.execute("update work_item_instances set status = 'running'")
    await reconcile(scan, worker, HELD)

    assert await owner.fetchval("select count(*) from incidents where state = 'open'") == 0


@pytest.mark.requirement("WI-7")
async def test_a_tenant_that_fails_does_not_keep_the_others_waiting(
    scan: asyncpg.Pool, worker: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    await pair(owner, "acme", "completed")
    await pair(owner, "other", "completed")
    await owner.execute("alter table incidents add constraint broken check (tenant_id <> 'acme')")

    await reconcile(scan, worker, HELD)

    assert await owner.fetchval("select array_agg(tenant_id) from incidents") == ["other"]
    assert (value_of("coupling_failed_tenants"), value_of("coupling_disagreements")) == (1, 1)
    forget()
    assert (value_of("coupling_failed_tenants"), value_of("coupling_disagreements")) == (0, 0)


def value_of(metric: str) -> float | None:
    return REGISTRY.get_sample_value(metric)


@pytest.mark.requirement("SP-7")
async def test_without_the_lease_nothing_is_looked_at(
    scan: asyncpg.Pool, worker: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    await pair(owner, "acme", "completed")

    with pytest.raises(LostLease):
        await reconcile(scan, worker, Lease("worker/reconciler", 1, trusted_until=0))

    assert await owner.fetchval("select count(*) from incidents") == 0
