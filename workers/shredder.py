"""Finishes shreds that a crash interrupted, and applies what a restored database forgot: every 20 s, under a lease.

A shred is done by the command that orders it; here is who comes after it. Every step may be repeated, so a holder that
lost its lease does no harm.
"""

import time

import asyncpg

from domain.keys.purge import Purger
from domain.keys.shred import Shredder, resume
from runtime.keys.database import open_keys_pool
from runtime.keys.ledger_file import ledger_file
from runtime.logging import get_logger
from runtime.settings import Settings
from workers.lease import Lease

log = get_logger(__name__)

INTERVAL_SECONDS = 20.0
# The ledgers are compared as a whole so often: only a restore makes them differ otherwise.
_WHOLE_SECONDS = 3600.0


class ShredResumer:
    """One round at a time; remembers when it last compared the whole ledgers."""

    def __init__(self, purgers: tuple[Purger, ...]) -> None:
        self._purgers = purgers
        self._compared_at: float | None = None

    async def round(self, settings: Settings, scan: asyncpg.Pool, worker: asyncpg.Pool, lease: Lease) -> None:
        """Settle, then finish what is left."""
        lease.require()
        everything = self._compared_at is None or time.monotonic() - self._compared_at > _WHOLE_SECONDS
        keys = await open_keys_pool(settings, size=1, wait=False)
        try:
            shredder = Shredder(worker, keys, ledger_file(settings), self._purgers)
            finished = await resume(shredder, scan, everything=everything)
        finally:
            await keys.close()
        if everything:
            self._compared_at = time.monotonic()
        if finished:
            log.info("shreds finished", count=finished)

    def forget(self) -> None:
        """Somebody else leads; the next round of ours compares anew."""
        self._compared_at = None
