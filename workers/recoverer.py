"""Stuck instances are found and taken up again: all of them when leading begins, then a slice every 30 s (WF-8, SP-7).

A slice ends after so many instances, and the next one goes on where it ended: a round costs the same however many wait. Each
page is a transaction, each repair another one. An instance that cannot be repaired keeps no other one waiting.
"""

from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from domain.onboarding.recovering import Recovery, quarantine
from domain.onboarding.stuck import FIRST, count_recoveries, look
from runtime.logging import get_logger
from runtime.postgres import is_transient, tenants_transaction
from runtime.sql import load_queries
from workers import metrics
from workers.lease import Lease

log = get_logger(__name__)
queries = load_queries(__file__, "tenants.sql")

PAGE = 500
SLICE = 20_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where the walk goes on: after this instance of this tenant."""

    tenant_id: str = ""
    after: str = FIRST


class Recoverer:
    """One process's walk over the instances that have not ended."""

    def __init__(self, recovery: Recovery, grace: timedelta) -> None:
        self._recovery, self._grace = recovery, grace
        self._place: Place | None = None

    async def round(self, scan: asyncpg.Pool, worker: asyncpg.Pool, lease: Lease) -> int:
        """A slice of the walk, the first time all of it; how many instances were taken up again."""
        tenants = sorted(await queries.list_tenants(scan))
        begun, place = self._place is not None, self._place or Place()
        left, taken_up = SLICE, 0
        for tenant_id in [one for one in tenants if one >= place.tenant_id]:
            after = place.after if tenant_id == place.tenant_id else FIRST
            upto: str | None = after
            while upto is not None and (left > 0 or not begun):
                lease.require()
                looked_at, found, upto = await self._page(worker, tenant_id, upto)
                left, taken_up = left - looked_at, taken_up + found
            if upto is not None:
                self._place = Place(tenant_id, upto)
                break
        else:
            self._place = Place()
        await _count(worker, lease, tenants)
        return taken_up

    def forget(self) -> None:
        """Somebody else leads; whoever leads again begins with all."""
        self._place = None
        metrics.recoveries_last_hour.clear()

    async def _page(self, worker: asyncpg.Pool, tenant_id: str, after: str) -> tuple[int, int, str | None]:
        async with tenants_transaction(worker, [tenant_id]) as conn:
            page = await look(conn, tenant_id, after, PAGE, self._grace)
            await quarantine(conn, tenant_id, page.unreadable)
        taken_up = 0
        for instance_id in page.stuck:
            taken_up += await self._repair(worker, tenant_id, instance_id)
        return page.looked_at, taken_up, page.upto

    async def _repair(self, worker: asyncpg.Pool, tenant_id: str, instance_id: str) -> int:
        """Each in a transaction of its own: what cannot be decided of one rolls back no other."""
        try:
            async with tenants_transaction(worker, [tenant_id]) as conn:
                causes = await self._recovery.repair(conn, tenant_id, [instance_id], self._grace)
        except asyncpg.PostgresConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one instance, others go on
            log.error("stuck instance was not taken up", tenant_id=tenant_id, instance_id=instance_id, error=error)
            metrics.recoveries.labels("failed").inc()
            if not is_transient(error):
                async with tenants_transaction(worker, [tenant_id]) as conn:
                    await quarantine(conn, tenant_id, [instance_id])
            return 0
        for cause in causes:
            log.warning("stuck instance taken up", tenant_id=tenant_id, instance_id=instance_id, cause=cause)
            metrics.recoveries.labels(cause).inc()
        return len(causes)


async def _count(worker: asyncpg.Pool, lease: Lease, tenants: list[str]) -> None:
    """Of every tenant, also what others told: calls that were taken over are told by who makes them."""
    for tenant_id in tenants:
        lease.require()
        async with tenants_transaction(worker, [tenant_id]) as conn:
            metrics.recoveries_last_hour.labels(tenant_id).set(await count_recoveries(conn, tenant_id))
