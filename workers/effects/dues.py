"""Delays that are over, and kinds that need no network and that nobody performed yet: tenant by tenant, in batches.

Found as cs_scan, moved on as cs_worker, one worker at a time per tenant. An internal kind that raises fails its effect, so that
the others of the batch go on and its owner hears of it.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import asyncpg

from domain.effects.advancing import advance
from domain.effects.claiming import find_falling_due, take_tenant
from domain.effects.effect import ClaimedEffect, Outcome
from domain.effects.store import OwnerKey
from domain.effects.wiring import Wiring
from domain.outbox import Outbox
from runtime.failpoints import reach
from runtime.logging import get_logger
from runtime.pauses import pause
from runtime.postgres import is_transient, tenants_transaction
from runtime.sql import Connection
from workers.effects import metrics

log = get_logger(__name__)

MOST = 500
PAGE = 200
# An owner that cannot be moved on is left alone for a while.
_SICK_SECONDS = 30.0


class Dues:
    """Looks and moves on what it finds."""

    def __init__(self, scan: asyncpg.Pool, worker: asyncpg.Pool, outbox: Outbox, wiring: Wiring) -> None:
        self._scan, self._worker, self._outbox, self._wiring = scan, worker, outbox, wiring
        self._sick: dict[OwnerKey, float] = {}

    async def round(self) -> int:
        """One look; how many owners were moved on."""
        now = time.monotonic()
        self._sick = {owner: until for owner, until in self._sick.items() if until > now}
        found = await find_falling_due(self._scan, self._wiring.internals, MOST)
        by_tenant: defaultdict[str, list[OwnerKey]] = defaultdict(list)
        for owner in found:
            if owner not in self._sick:
                by_tenant[owner[0]].append(owner)
        moved = 0
        for tenant_id, owners in by_tenant.items():
            for start in range(0, len(owners), PAGE):
                moved += await self._move(tenant_id, owners[start : start + PAGE])
        return moved

    async def _move(self, tenant_id: str, owners: Sequence[OwnerKey]) -> int:
        try:
            return await self._advance(tenant_id, owners, self._wiring)
        except Exception as error:  # noqa: BLE001 - the batch is taken apart
            if is_transient(error):
                log.warning("due effects are looked at again", tenant_id=tenant_id, error=error)
                return 0
            log.error("due effects of a tenant could not be moved on together", tenant_id=tenant_id, error=error)
        return sum([await self._move_alone(tenant_id, owner) for owner in owners])

    async def _move_alone(self, tenant_id: str, owner: OwnerKey) -> int:
        failing = replace(self._wiring, internals=dict.fromkeys(self._wiring.internals, _fail))
        for wiring in (self._wiring, failing):
            try:
                return await self._advance(tenant_id, [owner], wiring)
            except Exception as error:  # noqa: BLE001 - the other wiring is tried
                if is_transient(error):
                    return 0
                log.error("due effects of an owner are left for now", tenant_id=tenant_id, aggregate_id=owner[2], error=error)
        self._sick[owner] = time.monotonic() + _SICK_SECONDS
        return 0

    async def _advance(self, tenant_id: str, owners: Sequence[OwnerKey], wiring: Wiring) -> int:
        async with tenants_transaction(self._worker, [tenant_id]) as conn:
            if not await take_tenant(conn, tenant_id):
                return 0
            outcomes = await advance(conn, self._outbox, wiring, owners)
            await reach("effects.falling-due")
        for outcome in outcomes:
            metrics.outcomes.labels("internal", outcome.result).inc()
        return len(owners)


async def _fail(_conn: Connection, effects: Sequence[ClaimedEffect], _now: datetime) -> Sequence[Outcome]:
    return [effect.outcome("failed", "error") for effect in effects]


async def look(dues: Dues, stop: asyncio.Event, first: float, longest: float) -> None:
    """Rounds until `stop`, closer together while there is something to do."""
    wait = first
    while not stop.is_set():
        try:
            moved = await dues.round()
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("due effects were not looked for", error=error)
            moved = 0
        wait = first if moved else min(wait * 2, longest)
        await pause(stop, wait)
