"""Requests that wait until an interaction moves, without a database connection each: one look per tenant and tick for all.

A look is one statement by primary key, in a transaction of its own, and there is none while nobody waits. Whoever is woken
looks for himself; to be woken for nothing is harmless.
"""

import asyncio
from collections import defaultdict

import asyncpg

from api.transactions import transaction
from domain.interactions.reads import list_versions
from runtime.logging import get_logger
from schemas.errors import TransientError

log = get_logger(__name__)

PAUSE_SECONDS = 0.2
# Each waiting request holds a socket and some memory; whoever comes beyond is answered at once.
MOST = 2_000


class InteractionWaiters:
    """One per process."""

    def __init__(self, pool: asyncpg.Pool, most: int = MOST) -> None:
        self._pool, self._most = pool, most
        self._closed = False
        # By tenant, each waiting request with the interaction and the version that it saw.
        self._waiting: defaultdict[str, dict[asyncio.Future[None], tuple[str, int]]] = defaultdict(dict)
        self._looking: dict[str, asyncio.Task[None]] = {}

    @property
    def count(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    async def wait(self, tenant_id: str, interaction_id: str, version: int, seconds: float) -> bool:
        """Until the instance has another version, at most so long. False: it is no use to wait on."""
        if self._closed or seconds <= 0 or self.count >= self._most:
            return False
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[tenant_id][woken] = (interaction_id, version)
        if tenant_id not in self._looking:
            self._looking[tenant_id] = asyncio.create_task(self._look(tenant_id))
        try:
            await asyncio.wait({woken}, timeout=seconds)
        finally:
            self._waiting[tenant_id].pop(woken, None)
        return woken.done() and not self._closed

    def close(self) -> None:
        """Wake everybody: the process ends."""
        self._closed = True
        for tenant_id in list(self._waiting):
            self._wake(tenant_id)

    async def _look(self, tenant_id: str) -> None:
        group = self._waiting[tenant_id]
        try:
            while group and not self._closed:
                await asyncio.sleep(PAUSE_SECONDS)
                wanted = {interaction_id for interaction_id, _ in group.values()}
                async with transaction(self._pool, tenant_id) as conn:
                    versions = await list_versions(conn, tenant_id, wanted)
                for woken, (interaction_id, seen) in list(group.items()):
                    if versions.get(interaction_id) != seen and not woken.done():
                        woken.set_result(None)
        except TransientError as error:
            # Who waits looks for himself, and is told what is wrong.
            log.warning("looking for interactions that moved", error=error)
        finally:
            del self._looking[tenant_id]
            self._wake(tenant_id)

    def _wake(self, tenant_id: str) -> None:
        for woken in self._waiting.pop(tenant_id, {}):
            if not woken.done():
                woken.set_result(None)
