"""Links new audit entries every second, tenant by tenant, and signs heads every minute and when it leaves (leased).

Inserts into the audit log stay unchained and cheap; this is the only writer of the chain. Without a signing key it links
all the same and says so: what is linked later can still be signed.
"""

import asyncio
import time
from collections.abc import Callable

import asyncpg

from domain.audit.chaining import Held, link_entries, list_waiting_tenants, sign_head
from domain.audit.signing import SigningKey, read_signing_key, signing_key_file
from domain.audit.verify import list_chains
from domain.outbox import Outbox
from runtime.logging import get_logger
from runtime.postgres import tenants_transaction
from runtime.settings import Settings
from schemas.errors import ConfigurationError
from workers import metrics
from workers.lease import Lease

log = get_logger(__name__)

INTERVAL_SECONDS = 1.0
SIGN_SECONDS = 60.0
PAGE = 2_000


class AuditChainer:
    """One process's chainer. `clock` is for when to sign next; what is signed carries the database's time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sign_at = 0.0
        # Tenants whose chain may have grown since their last head; None: any, after a start.
        self._grown: set[str] | None = None

    async def round(self, settings: Settings, scan: asyncpg.Pool, worker: asyncpg.Pool, lease: Lease) -> None:
        """Link what waits; sign when it is time."""
        for tenant_id in await list_waiting_tenants(scan):
            await self._link(worker, tenant_id, lease)
        if self._clock() >= self._sign_at:
            await self.sign(settings, scan, worker, lease)
            self._sign_at = self._clock() + SIGN_SECONDS

    async def leave(self, settings: Settings, scan: asyncpg.Pool, worker: asyncpg.Pool, lease: Lease) -> None:
        """The last round of a leader who leaves in order."""
        self._sign_at = 0.0
        await self.round(settings, scan, worker, lease)

    async def sign(self, settings: Settings, scan: asyncpg.Pool, worker: asyncpg.Pool, lease: Lease) -> None:
        """Sign and publish the heads that grew."""
        key = await asyncio.to_thread(_key, settings)
        if key is None:
            return
        outbox, held = Outbox(settings.ce_source), Held(lease.name, lease.term)
        for tenant_id in sorted(self._grown) if self._grown is not None else await list_chains(scan):
            lease.require()
            async with tenants_transaction(worker, [tenant_id]) as conn:
                if await sign_head(conn, outbox, key, tenant_id, held):
                    metrics.audit_heads.inc()
        self._grown = set()

    async def _link(self, worker: asyncpg.Pool, tenant_id: str, lease: Lease) -> None:
        """Page by page, each in a transaction of its own: a long one would stop every relay's floor."""
        made = PAGE
        while made == PAGE:
            lease.require()
            async with tenants_transaction(worker, [tenant_id]) as conn:
                made = await link_entries(conn, tenant_id, Held(lease.name, lease.term), PAGE)
            metrics.audit_links.inc(made)
            if made and self._grown is not None:
                self._grown.add(tenant_id)

    def forget(self) -> None:
        """Somebody else leads: what grew meanwhile is not known here."""
        self._grown = None


def _key(settings: Settings) -> SigningKey | None:
    try:
        return read_signing_key(signing_key_file(settings))
    except ConfigurationError as error:
        log.error("audit heads are not signed", problem=error.problems[0])
        return None
