"""The rebuilds' part of a projections process: conductor, clerks and store scanner side by side until the stop.

Any number of processes run it; what each may do is decided by rows and terms in PostgreSQL, so one that is killed is missed
by nobody for longer than its leases last. A failure here must not take the live tables' consumers with it: what fails is
logged, told as an incident, and begun anew.
"""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import asyncpg

from domain.incidents import Incident, open_incidents
from projections.cases.opening import hash_key_of
from projections.rebuild.conductor import Conductor
from projections.rebuild.orders import COMPARISONS, MOVES, OrderClerk
from projections.rebuild.scan import StoreScanner
from runtime.keys.ring import open_key_ring
from runtime.logging import get_logger
from runtime.pauses import pause
from runtime.postgres import open_pool
from runtime.settings import Settings

log = get_logger(__name__)
AGAIN_SECONDS = 5.0
INCIDENT = "rebuilds-failed"

Work = Callable[[asyncio.Event], Awaitable[None]]


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Until `stop`."""
    owner = f"{settings.instance}/{os.getpid()}/{secrets.token_hex(3)}"
    async with AsyncExitStack() as stack:
        scan = await open_pool(settings, "scan", size=2, min_size=0)
        stack.push_async_callback(scan.close)
        # One connection writes a page while the next page is read, one holds a comparison's snapshot; the others ask.
        worker = await open_pool(settings, "worker", size=7, min_size=0)
        stack.push_async_callback(worker.close)

        async def read_store(stop: asyncio.Event) -> None:
            await _until_work(worker, stop)
            if not stop.is_set():
                async with open_key_ring(settings) as ring:
                    await StoreScanner(scan, worker, ring, hash_key_of(settings), owner).run(stop)

        works: dict[str, Work] = {
            "conductor": Conductor(settings, scan, worker).run,
            "orders": OrderClerk(settings, scan, worker, owner, kinds=MOVES).run,
            "comparisons": OrderClerk(settings, scan, worker, owner, kinds=COMPARISONS).run,
            "scanner": read_store,
        }
        await asyncio.gather(*(_keep(name, work, worker, stop) for name, work in works.items()))


async def _until_work(worker: asyncpg.Pool, stop: asyncio.Event) -> None:
    """A process without a store to scan opens no key ring of its own."""
    while not stop.is_set():
        try:
            if await worker.fetchval("select exists (select from rebuilds where state = 'scanning')"):
                return
        except (asyncpg.PostgresError, OSError) as error:
            log.warning("the store scan waits", error=error)
        await pause(stop, 1.0)


async def _keep(name: str, work: Work, worker: asyncpg.Pool, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await work(stop)
            return
        except Exception as error:  # noqa: BLE001 - live tables are served by the same process
            log.error("a part of the rebuilds failed and begins anew", role=name, error=error)
            await _report(name, error, worker)
            await pause(stop, AGAIN_SECONDS)


async def _report(name: str, error: Exception, worker: asyncpg.Pool) -> None:
    incident = Incident(
        tenant_id="",
        kind=INCIDENT,
        fingerprint=f"{name}: {type(error).__name__}",
        object_type="process",
        object_id=name,
        summary=f"the {name} of rebuilds failed with {type(error).__name__} and begins anew; live tables go on",
        cure="read the log of the role projections; nothing is lost: rebuilds go on from their rows",
    )
    try:
        async with worker.acquire() as conn, conn.transaction():
            await open_incidents(conn, [incident])
    except Exception as trouble:  # noqa: BLE001 - the failure itself is logged; the next one is told again
        log.warning("incident not recorded", error=trouble)
