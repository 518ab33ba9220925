"""Before a process encrypts or decrypts anything, the shred ledgers agree: also after the restore of an old backup.

A process of role cs_scan (`casestream run workers`, and `casestream keys settle`) brings the union of the ledgers into all of
them. Every other process waits until the ledger that its transactions read has whatever the others know. A database that is
away is waited for.
"""

import asyncio
from collections.abc import Sequence

import asyncpg

from domain.keys.ledgers import settle, unapplied
from runtime.keys.database import open_keys_pool
from runtime.keys.ledger_file import ledger_file
from runtime.logging import get_logger
from runtime.pauses import pause
from runtime.postgres import Role, is_transient, open_pool
from runtime.settings import Settings

log = get_logger(__name__)

_PAUSE_SECONDS = 1.0


async def settle_before_start(settings: Settings, roles: Sequence[Role], stop: asyncio.Event) -> None:
    """Return when the ledgers agree, or at `stop`. `roles` are those of the parts that need keys."""
    role: Role = "scan" if "scan" in roles else roles[0]
    while not stop.is_set():
        try:
            if await settled(settings, role):
                return
            log.warning("waiting until the shred ledgers are settled", action="casestream keys settle")
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("waiting for the shred ledgers", error=error)
        await pause(stop, _PAUSE_SECONDS)


async def settled(settings: Settings, role: Role) -> bool:
    """Settle the ledgers as cs_scan; as any other role, whether they are."""
    keys = await open_keys_pool(settings, size=1, wait=False)
    main: asyncpg.Pool | None = None
    try:
        main = await open_pool(settings, role, size=1, wait=False)
        if role != "scan":
            return await unapplied(main, keys, ledger_file(settings)) == 0
        added = await settle(main, keys, ledger_file(settings))
        if added:
            log.warning("the shred ledgers differed, as after a restore, and were settled", count=added)
        return True
    finally:
        for pool in (keys, main):
            if pool is not None:
                pool.terminate()
