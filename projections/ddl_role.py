"""The role `ddl`: one leased loop as the owner role. It approves (in development), executes and, there, plans first versions.

The only process that makes or drops a table while others run. In production nothing happens by itself: a version is planned
by somebody's order, and the statements of a new mapping wait until somebody has approved their hash.
"""

import asyncio
import os
import secrets
from collections.abc import Sequence

import asyncpg

from domain.cases.mapping.tables import MAX_COLUMNS, TableSpec, table_specs
from domain.cases.mapping_store import load_graph, released_files
from domain.cases.mapping_store.graph import generation
from projections import ddl_orders
from projections.versions import create_version, list_versions
from runtime.logging import get_logger
from runtime.pauses import pause
from runtime.postgres import is_transient, open_pool
from runtime.settings import Settings
from runtime.sql import Connection
from workers.lease import Leadership, Lease

log = get_logger(__name__)

LEASE = "ddl"
ROUND_SECONDS = 0.5
RECONCILER = "casestream ddl"


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Until `stop`; whoever holds the lease works, the others stand by."""
    pool = await open_pool(settings, "migrate", size=2)
    owner = f"{settings.instance}/{os.getpid()}/{secrets.token_hex(3)}"
    job = DdlJob(pool, development=settings.environment == "development", max_columns=settings.mappings.max_columns)
    try:
        await Leadership(pool, LEASE, owner).run(lambda lease: job.lead(lease, stop), stop)
    finally:
        await pool.close()


class DdlJob:
    """What the leader does, round after round."""

    def __init__(self, pool: asyncpg.Pool, *, development: bool, max_columns: int = MAX_COLUMNS) -> None:
        self._pool, self._development, self._max_columns = pool, development, max_columns
        self._seen: int | None = None
        self._said: dict[str, str] = {}

    async def lead(self, lease: Lease, stop: asyncio.Event) -> None:
        while not stop.is_set():
            lease.require()
            await self.round()
            await pause(stop, ROUND_SECONDS)

    async def round(self) -> list[ddl_orders.Executed]:
        """Plan what is new (in development), then do what may be done; what was tried."""
        async with self._pool.acquire() as conn:
            if self._development:
                await self._reconcile(conn)
            done = await ddl_orders.execute_open(conn, development=self._development)
            unshown = await serve_firsts(conn) if self._development else []
            for one in (*done, *unshown):
                self._tell(one)
        return done

    async def _reconcile(self, conn: ddl_orders.OwnerConnection) -> None:
        """Tables that mappings name and that no version was ever made of, whenever a mapping changed."""
        async with conn.transaction():
            now = await generation(conn)
            if now == self._seen:
                return
            await plan_first_versions(conn, await _present_specs(conn, self._max_columns))
        self._seen = now

    def _tell(self, one: ddl_orders.Executed) -> None:
        said = f"{one.state} {one.error}"
        key = f"{one.kind} {one.name}.v{one.version}"
        if self._said.get(key) != said:
            self._said[key] = said
            log.info("ddl order", action=one.kind, object=f"{one.name}.v{one.version}", state=one.state, reason=one.error)


async def plan_first_versions(conn: Connection, specs: Sequence[TableSpec]) -> list[str]:
    """Plan and order version 1 of each table that has no version at all; their names."""
    known = {version.name for version in await list_versions(conn)}
    planned = []
    for spec in specs:
        if spec.name in known:
            continue
        version = await create_version(conn, spec, by=RECONCILER, reason="the mapping's first version")
        await ddl_orders.order(conn, "create", spec.name, version, by=RECONCILER, reason="the mapping's first version")
        planned.append(spec.name)
    return planned


async def serve_firsts(conn: ddl_orders.OwnerConnection) -> list[ddl_orders.Executed]:
    """A table that nobody could read yet is shown at once, while it fills: there is no reader whom half of it could mislead.

    Those that cannot be shown, and why; they are tried again in the next round and are in nobody's way.
    """
    unshown = []
    for version in await list_versions(conn, states=["building"]):
        if version.serving_version is None and version.created_by == RECONCILER:
            try:
                async with conn.transaction():
                    await ddl_orders.serve(conn, version)
            except (ddl_orders.Refused, asyncpg.PostgresError) as error:
                if is_transient(error):
                    raise
                unshown.append(ddl_orders.Executed("switch", version.name, version.version, "put off", str(error)))
    return unshown


async def _present_specs(conn: Connection, max_columns: int) -> list[TableSpec]:
    """The tables that the published mappings give; none of a graph with errors."""
    specs, diagnostics = table_specs(await load_graph(conn, released_files()), max_columns=max_columns)
    if errors := [str(one) for one in diagnostics if one.severity == "error"]:
        log.warning("no table is planned: the mappings have errors", count=len(errors))
        return []
    return specs
