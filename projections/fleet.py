"""The consumers of table versions in one process: as many members as the catalogue has active versions, followed live.

    catalogue, every second:  new version -> its dead letter topic -> a member       retired -> its member leaves
                              a member failed -> an incident, again after a while    the others go on

Several processes share each version's partitions through their groups. A version whose member fails hurts no other: it is
the reader of another table. Nothing here can have an external effect: there is no sender in this process.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiokafka.errors import KafkaError

from domain.incidents import Incident, open_incidents
from domain.operations.endings import close
from processors.shell import GroupMember, Processor
from projections.cases.opening import hash_key_of
from projections.cases.projector import CaseProjector
from projections.ddl_orders import spec_of
from projections.rebuild.measuring import rates_of
from projections.rebuild.pace import Pace
from projections.versions import TableVersion, active_versions, list_versions, queries
from projections.work_item_board import WorkItemBoard
from runtime import topics
from runtime.kafka import admin
from runtime.keys.ring import KeyRing, open_key_ring
from runtime.logging import get_logger
from runtime.pauses import pause
from runtime.postgres import is_transient, open_pool
from runtime.settings import Settings
from schemas.errors import ConfigurationError
from schemas.registry import dead_letter_topics

log = get_logger(__name__)

LOOK_SECONDS = 1.0
LAG_SECONDS = 5.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
INCIDENT = "projection-failed"

# The consumer of a built-in table, made for one version.
BUILTIN: dict[str, Callable[[int], Processor[Any, Any]]] = {"work_item_board": WorkItemBoard}


@dataclass(slots=True)
class Running:
    """One version's member in this process, from its start over failures to its leaving."""

    version: TableVersion
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    member: GroupMember | None = None
    failures: int = 0
    pace: Pace = field(default_factory=lambda: Pace(time.monotonic))
    task: "asyncio.Task[None] | None" = None

    @property
    def ready(self) -> bool:
        return self.member is not None and self.member.ready


class Fleet:
    """`only`: names of groups, to run these alone. `number` tells processes of one role on one machine apart."""

    def __init__(self, settings: Settings, number: int, stop: asyncio.Event, only: Collection[str] = ()) -> None:
        self._settings, self._number, self._stop, self._only = settings, number, stop, frozenset(only)
        self._running: dict[str, Running] = {}
        self._ring: KeyRing | None = None
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._looked = False
        self._pool: asyncpg.Pool

    @property
    def ready(self) -> bool:
        """Every active version runs here; one that fails is an incident, and no reason to keep readers of the others away."""
        return self._looked and all(running.ready or running.failures for running in self._running.values())

    async def run(self) -> None:
        """Until `stop`. Raises ConfigurationError when `only` names a group that no version has."""
        async with self._stack:
            self._pool = await open_pool(self._settings, "worker", size=2)
            self._stack.push_async_callback(self._pool.close)
            try:
                await self._follow()
            finally:
                await self._leave(list(self._running))

    async def _follow(self) -> None:
        clock = asyncio.get_running_loop().time
        next_lag = 0.0
        while not self._stop.is_set():
            try:
                await self._look()
                if clock() >= next_lag:
                    await self._close_mended()
                    await self._tell_lag()
                    next_lag = clock() + LAG_SECONDS
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("waiting for PostgreSQL", error=error)
            await pause(self._stop, LOOK_SECONDS)

    async def _look(self) -> None:
        versions = await active_versions(self._pool)
        if not self._looked and self._only:
            self._refuse_unknown({version.group.name for version in await list_versions(self._pool)})
        wanted = {version.group.name: version for version in versions}
        if self._only:
            wanted = {name: version for name, version in wanted.items() if name in self._only}
        await self._leave([name for name in self._running if name not in wanted])
        for name in wanted.keys() - self._running.keys():
            running = self._running[name] = Running(wanted[name])
            running.task = asyncio.create_task(self._live(running), name=name)
        await self._set_paces()
        self._looked = True

    async def _set_paces(self) -> None:
        """A version that is being rebuilt may have a rate, which its members share; one that is ready runs free."""
        rates = await rates_of(self._pool)
        for running in self._running.values():
            running.pace.rate = rates.get((running.version.name, running.version.version))

    def _refuse_unknown(self, known: set[str]) -> None:
        if unknown := sorted(self._only - known):
            there = ", ".join(sorted(known))
            raise ConfigurationError([f"role {name}: no table version has this group; there are {there}" for name in unknown])

    async def _leave(self, names: Collection[str]) -> None:
        leaving = [self._running.pop(name) for name in names]
        for running in leaving:
            log.info("table version leaves", group=running.version.group.name)
            running.stop.set()
        await asyncio.gather(*(running.task for running in leaving if running.task), return_exceptions=True)

    async def _live(self, running: Running) -> None:
        """The version's member, again and again after failures, until its stop. Never raises."""
        while not running.stop.is_set():
            try:
                await self._member(running)
            except Exception as error:  # noqa: BLE001 - a bug in one version must not hurt the readers of the others
                if running.stop.is_set():
                    return
                running.failures += 1
                running.member = None
                log.error("table version failed", group=running.version.group.name, error=error)
                await self._report(running.version, error)
                seconds = min(FIRST_PAUSE_SECONDS * 2 ** (running.failures - 1), LONGEST_PAUSE_SECONDS)
                await pause(running.stop, seconds)

    async def _member(self, running: Running) -> None:
        version = running.version
        processor = await self._processor(version)
        await self._make_topics(running)
        instance = f"{self._settings.instance}-{version.group.name}-{self._number}"
        running.member = GroupMember(self._settings, processor, instance, running.stop, running.pace)
        log.info("table version runs", group=version.group.name)
        await running.member.run()

    async def _processor(self, version: TableVersion) -> Processor[Any, Any]:
        if version.spec is None:
            return BUILTIN[version.name](version.version)
        return CaseProjector(
            spec_of(version),
            version.version,
            await self._keys(),
            hash_key=hash_key_of(self._settings),
            trial_tenant=version.trial_tenant,
        )

    async def _keys(self) -> KeyRing:
        """One ring for all; only a process that runs case tables opens it."""
        async with self._opening:
            if self._ring is None:
                self._ring = await self._stack.enter_async_context(open_key_ring(self._settings))
            return self._ring

    async def _make_topics(self, running: Running) -> None:
        """The version's dead letter topics, before it reads its first record."""
        wanted = topics.as_wanted(self._settings, dead_letter_topics([running.version.group]))
        while not running.stop.is_set():
            client = admin(self._settings)
            try:
                await client.start()
                await topics.apply(client, self._settings, wanted)
                return
            except (KafkaError, OSError) as error:
                log.warning("waiting for Kafka", group=running.version.group.name, error=error)
            finally:
                await client.close()
            await pause(running.stop, LOOK_SECONDS)

    async def _report(self, version: TableVersion, error: Exception) -> None:
        incident = Incident(
            tenant_id="",
            kind=INCIDENT,
            fingerprint=type(error).__name__,
            object_type="table-version",
            object_id=version.label,
            summary=f"the consumer of {version.label} failed with {type(error).__name__} and is tried again; the others go on",
            cure=f"read the log of group {version.group.name}; mend the cause, or retire the version",
        )
        try:
            async with self._pool.acquire() as conn, conn.transaction():
                await open_incidents(conn, [incident])
        except Exception as trouble:  # noqa: BLE001 - the failure itself is logged; the next one is told again
            log.warning("incident not recorded", error=trouble)

    async def _close_mended(self) -> None:
        mended = [running for running in self._running.values() if running.failures and running.ready]
        if not mended:
            return
        labels = [running.version.label for running in mended]
        async with self._pool.acquire() as conn, conn.transaction():
            await close(conn, [INCIDENT], labels, actor="system:fleet", resolution="its consumer runs again")
        for running in mended:
            running.failures = 0

    async def _tell_lag(self) -> None:
        found = [(one.version, one.member.lag) for one in self._running.values() if one.member is not None]
        rows = [(version, lag) for version, lag in found if lag is not None]
        if rows:
            await queries.upsert_lag(
                self._pool,
                names=[version.name for version, _ in rows],
                versions=[version.version for version, _ in rows],
                members=[f"{self._settings.instance}-{self._number}"] * len(rows),
                lag_records=[lag.records for _, lag in rows],
                lag_seconds=[lag.seconds for _, lag in rows],
                applied_at=[lag.applied_at for _, lag in rows],
            )
