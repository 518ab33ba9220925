"""Removes what has expired, in batches, tenant by tenant, under a lease (SP-3). Later subjects add their rows here.

Never unsent, parked or waiting rows, never a row that is a durable unique key: it knows no statement for them. Inbox
rows go only for groups whose registry entry says so, and only when none of the group's topics can deliver their event
again: the longest retention plus a margin; a topic that is kept for ever keeps its inbox rows for ever too. Effects are
emptied, not removed: their rows are what makes them happen once. Of the log of runs only shown skips go; they are no keys.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

import asyncpg

from domain.effects.operating import queries as effects
from domain.operations.decisions import inbox_ages
from domain.operations.groups import known_groups
from domain.rules.run_store import queries as runs
from domain.rules.store import queries as rules
from domain.timers.commands import queries as timers
from runtime.logging import get_logger
from runtime.postgres import tenants_transaction
from runtime.settings import HousekeepingSettings
from runtime.sql import Connection, load_queries
from schemas.registry import TOPICS, Group
from workers import metrics
from workers.lease import Lease

log = get_logger(__name__)
queries = load_queries(__file__)
tenant_queries = load_queries(__file__, "tenants.sql")

# What the publish door took is remembered as long as its topic could deliver it.
PUBLISHED = "crm.entity.events"
Delete = Callable[[Connection], Awaitable[int]]


async def tidy(
    scan: asyncpg.Pool,
    worker: asyncpg.Pool,
    settings: HousekeepingSettings,
    lease: Lease,
    groups: Iterable[Group] | None = None,
    payload_age: timedelta = timedelta(days=7),
) -> dict[str, int]:
    """One round over these groups, by default all; how many rows went, by table. Raises LostLease between two batches."""
    if groups is None:
        groups = (await known_groups(scan)).values()
    held = {"most": settings.batch_rows, "lease": lease.name, "term": lease.term}
    expired = _expired(held, settings, payload_age)
    gone = {"inbox": 0, **dict.fromkeys(expired, 0)}
    for tenant_id in await tenant_queries.list_tenants(scan):
        for table, delete in expired.items():
            gone[table] += await _in_batches(worker, tenant_id, lease, delete, settings.batch_rows)
    ages = inbox_ages(groups, timedelta(days=settings.inbox_margin_days))
    for tenant_id in await queries.tenants_with_inbox_rows(scan, groups=list(ages)) if ages else []:
        for group, age in ages.items():
            gone["inbox"] += await _in_batches(worker, tenant_id, lease, _forget(group, age, held), settings.batch_rows)
    for table, rows in gone.items():
        metrics.deleted.labels(table).inc(rows)
    log.info("housekeeping done", rows=sum(gone.values()), term=lease.term)
    return gone


def _expired(held: Mapping[str, Any], settings: HousekeepingSettings, payload_age: timedelta) -> dict[str, Delete]:
    """By table, what a batch of a tenant's rows that are past their time is, or of rows that are to be folded."""
    taken = timedelta(milliseconds=TOPICS[PUBLISHED].retention_ms, days=settings.inbox_margin_days)
    return {
        "idempotency_keys": lambda conn: queries.delete_expired_idempotency_keys(conn, **held),
        "published_events": lambda conn: queries.delete_old_published_events(conn, age=taken, **held),
        "effects": lambda conn: effects.empty_finished_effects(conn, age=payload_age, **held),
        "effect_order_keys": lambda conn: effects.delete_idle_order_keys(conn, **held),
        "tenant_secret_values": lambda conn: queries.delete_replaced_secret_values(conn, **held),
        "timers": lambda conn: timers.delete_ended_timers(conn, age=payload_age, **held),
        "workflow_execution_logs": lambda conn: runs.delete_samples(conn, age=payload_age, **held),
        "workflow_rule_deltas": lambda conn: rules.fold_deltas(conn, **held),
    }


def _forget(group: str, age: timedelta, held: Mapping[str, object]) -> Delete:
    return lambda conn: queries.delete_forgotten_identities(conn, group_name=group, age=age, **held)


async def _in_batches(worker: asyncpg.Pool, tenant_id: str, lease: Lease, delete: Delete, size: int) -> int:
    """A transaction per batch: a long one would stop every relay's floor."""
    total = 0
    while True:
        lease.require()
        async with tenants_transaction(worker, [tenant_id]) as conn:
            rows = await delete(conn)
        total += rows
        if rows < size:
            return total
