"""Pairs that should agree and do not: every 30 s, tenant by tenant, they become incidents (WI-7). It repairs nothing."""

import asyncpg

from domain.work_items.coupling import FIRST, PAGE_SIZE, WALKS, Walk, report_disagreements, resolve_agreements
from runtime.logging import get_logger
from runtime.postgres import tenants_transaction
from runtime.sql import load_queries
from workers import metrics
from workers.lease import Lease

log = get_logger(__name__)
queries = load_queries(__file__, "tenants.sql")
INTERVAL_SECONDS = 30.0


async def reconcile(scan: asyncpg.Pool, worker: asyncpg.Pool, lease: Lease) -> None:
    """One round over all tenants. Opening an incident twice counts it once, so a late holder does no harm.

    A tenant whose statements fail is counted and left for the next round; a broken connection ends this one.
    """
    found = failed = 0
    for tenant_id in await queries.list_tenants(scan):
        try:
            found += await _reconcile_tenant(worker, lease, tenant_id)
        except asyncpg.PostgresConnectionError:
            raise
        except (asyncpg.PostgresError, TimeoutError) as error:
            failed += 1
            log.warning("coupling of a tenant was not looked at", tenant_id=tenant_id, error=error)
    lease.require()
    metrics.disagreements.set(found)
    metrics.failed_tenants.set(failed)
    if found:
        log.warning("coupled pairs disagree", count=found)


def forget() -> None:
    """Somebody else leads: our last numbers are no news any more."""
    metrics.disagreements.set(0)
    metrics.failed_tenants.set(0)


async def _reconcile_tenant(worker: asyncpg.Pool, lease: Lease, tenant_id: str) -> int:
    found = sum([await _walk(worker, lease, tenant_id, walk) for walk in WALKS])
    resolved = PAGE_SIZE
    while resolved == PAGE_SIZE:
        lease.require()
        async with tenants_transaction(worker, [tenant_id]) as conn:
            resolved = await resolve_agreements(conn, tenant_id)
    return found


async def _walk(worker: asyncpg.Pool, lease: Lease, tenant_id: str, walk: Walk) -> int:
    """Page after page, each in a transaction of its own: a long one would stop every relay's floor."""
    found, after = 0, FIRST
    while True:
        lease.require()
        async with tenants_transaction(worker, [tenant_id]) as conn:
            pairs, upto = await report_disagreements(conn, tenant_id, walk, after)
        found += len(pairs)
        if upto is None:
            return found
        after = upto
