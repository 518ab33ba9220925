"""Pairs that should agree and do not: every 30 s, tenant by tenant, they become incidents (WI-7). It repairs nothing."""

import asyncpg

from domain.work_items.coupling import reconcile_coupling
from runtime.logging import get_logger
from runtime.postgres import tenants_transaction
from runtime.sql import load_queries
from workers import metrics
from workers.lease import Lease

log = get_logger(__name__)
queries = load_queries(__file__, "tenants.sql")
INTERVAL_SECONDS = 30.0


async def reconcile(scan: asyncpg.Pool, worker: asyncpg.Pool, lease: Lease) -> None:
    """One round over all tenants. Opening an incident twice counts it once, so a late holder does no harm."""
    found = 0
    for tenant_id in await queries.list_tenants(scan):
        lease.require()
        async with tenants_transaction(worker, [tenant_id]) as conn:
            found += len(await reconcile_coupling(conn))
    metrics.disagreements.set(found)
    if found:
        log.warning("coupled pairs disagree", count=found)
