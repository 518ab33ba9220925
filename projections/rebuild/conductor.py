"""Moves every open rebuild on, one step at a time; any number of processes may do it side by side.

    1 ordered      is there such a table, does its history reach back to the first event?      -> planned | refused
    2 planned      note the topic's ends, THEN the store's last number; positions and slices   -> prepared
    3 prepared     order the table from the owner role, wait until it is made                  -> scanning | catching-up
    4 scanning     until every slice is done                                                   -> catching-up
    5 catching-up  until the group has passed ends that were asked for a moment ago            -> ready

Each step is one transaction that first locks the rebuild's row and looks at its state again, so a step that two processes
take happens once, and one that was killed happens later. In step 2 the order matters: a snapshot that is committed after
the ends were noted lies behind them in the topic, so what the scan does not see, the group reads. The other way round
what is stored between the two would be in neither (CD-13).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import asyncpg
from aiokafka.errors import KafkaError

from domain.cases.mapping.tables import TableSpec
from domain.incidents import Incident, open_incidents
from domain.operations.endings import close
from domain.rebuilds import commands
from domain.rebuilds.decisions import Event, lay_slices, over_budget, refuse_incomplete
from projections import ddl_orders
from projections.rebuild import metrics, slices
from projections.rebuild.measuring import Measure, find_positions, measure, set_goals
from projections.rebuild.specs import present_table, topics_of
from projections.rebuild.topics import Broker, broker
from projections.versions import TableVersion, create_version, find_version, list_versions, set_state
from runtime.failpoints import reach
from runtime.logging import get_logger
from runtime.pauses import pause
from runtime.postgres import is_transient, tenants_transaction
from runtime.settings import Settings
from runtime.sql import Connection, load_queries
from schemas.errors import ConfigurationError, Rejected
from schemas.registry import Place

log = get_logger(__name__)
queries = load_queries(__file__, "rebuild.sql")

ROUND_SECONDS = 1.0
# The reasons that we write into a group's switch begin like this, so that we start only what we have stopped.
STOPPED_BY_US = "rebuild "

Row = Mapping[str, Any]
FindTable = Callable[[Connection, str], Awaitable[TableSpec | str | None]]


class Conductor:
    """`scan` plans versions and asks for tenants; `worker` reads and writes positions, slices and the store's bounds."""

    def __init__(
        self, settings: Settings, scan: asyncpg.Pool, worker: asyncpg.Pool, find_table: FindTable | None = None
    ) -> None:
        self._settings, self._scan, self._worker = settings, scan, worker
        self._find_table = find_table or partial(present_table, max_columns=settings.mappings.max_columns)
        self._stack, self._broker = AsyncExitStack(), None

    _broker: Broker | None

    async def run(self, stop: asyncio.Event) -> None:
        """A round a second until `stop`. A broker or database that is away is waited for."""
        try:
            while not stop.is_set():
                try:
                    await self.round()
                except Exception as error:
                    if not (is_transient(error) or isinstance(error, KafkaError)):
                        raise
                    log.warning("rebuilds wait for PostgreSQL or Kafka", error=error)
                    await self.close()
                await pause(stop, ROUND_SECONDS)
        finally:
            await self.close()

    async def round(self) -> None:
        """Move each open rebuild on by one step. A rebuild that fails in an unforeseen way ends alone."""
        rows = await commands.queries.list_open_rebuilds(self._worker)
        metrics.show(rows)
        for row in rows:
            try:
                await self.step(row)
            except Exception as error:
                if is_transient(error) or isinstance(error, KafkaError):
                    raise
                # Live tables are served by the same process: a rebuild's bug must not take them down with it.
                log.error("a rebuild failed", rebuild_id=str(row["rebuild_id"]), error=error)
                event: Event = "refuse" if row["version"] is None else "fail"
                await self._move(row, event, f"{type(error).__name__}; the log of {self._settings.instance} says more")

    async def close(self) -> None:
        """Let go of the broker; the next round that needs it connects anew."""
        self._broker = None
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()

    async def step(self, row: Row) -> None:
        """What is to be done next for this rebuild."""
        await _STEPS[row["state"]](self, row)

    async def _asked(self) -> Broker:
        if self._broker is None:
            self._broker = await self._stack.enter_async_context(broker(self._settings))
        return self._broker

    async def plan(self, row: Row) -> None:
        """Step 1. The version gets its number; nothing of it exists yet."""
        try:
            async with self._scan.acquire() as conn:
                table = await self._find_table(conn, row["name"])
        except ConfigurationError as error:
            await self._move(row, "refuse", f"the mappings have errors: {'; '.join(error.problems)}")
            return
        if table is None:
            await self._move(row, "refuse", f"no mapping and no release has a table {row['name']}")
            return
        topics = topics_of(table)
        facts = await (await self._asked()).facts(topics, await self._serving_positions(row["name"]))
        kind = "builtin" if isinstance(table, str) else "cases"
        if refused := refuse_incomplete(facts, row["source"], kind):
            await self._move(row, "refuse", refused.message)
            return
        await reach("rebuild.before-plan")
        async with self._scan.acquire() as conn, conn.transaction():
            if (await commands.queries.lock_rebuild(conn, rebuild_id=row["rebuild_id"]))["state"] != "ordered":
                return
            version = await create_version(
                conn,
                table,
                by=row["ordered_by"],
                source=row["source"],
                trial_tenant=row["trial_tenant"],
                reason=row["reason"],
            )
            await commands.queries.set_version(conn, rebuild_id=row["rebuild_id"], version=version)
            await commands.move(conn, row["rebuild_id"], "plan")
        log.info("rebuild planned", rebuild_id=str(row["rebuild_id"]), version=f"{row['name']}.v{version}")
        await reach("rebuild.after-plan")

    async def _serving_positions(self, name: str) -> dict[Place, int]:
        async with self._worker.acquire() as conn:
            serving = [one for one in await list_versions(conn, name) if one.serves]
            return await find_positions(conn, serving[0].group.name) if serving else {}

    async def prepare(self, row: Row) -> None:
        """Step 2. First the topic's ends, then the store's: what is committed between the two is in both."""
        version = await self._version(row)
        facts = await (await self._asked()).facts(version.topics, {})
        bounds = {Place(topic.name, number): both for topic in facts for number, both in topic.bounds.items()}
        await reach("rebuild.after-note")
        tenants = await self._tenants(row)
        async with tenants_transaction(self._worker, tenants) as conn:
            if (await commands.queries.lock_rebuild(conn, rebuild_id=row["rebuild_id"]))["state"] != "planned":
                return
            await self._lay_offsets(conn, row, version, bounds)
            if row["source"] == "store":
                stored = await queries.store_bounds(conn)
                await slices.lay(conn, row["rebuild_id"], lay_slices(stored["first"], stored["last"], row["workers"]))
            await commands.move(conn, row["rebuild_id"], "prepare")
        await reach("rebuild.after-prepare")

    async def _lay_offsets(
        self, conn: Connection, row: Row, version: TableVersion, bounds: Mapping[Place, tuple[int, int]]
    ) -> None:
        places = {
            "topics": [place.topic for place in bounds],
            "partitions": [place.partition for place in bounds],
        }
        begins, noted = [begin for begin, _ in bounds.values()], [end for _, end in bounds.values()]
        await queries.insert_offsets(conn, rebuild_id=row["rebuild_id"], **places, begins=begins, noted=noted)
        nexts = noted if row["source"] == "store" else begins
        await queries.begin_positions(conn, group_name=version.group.name, **places, nexts=nexts)

    async def order_table(self, row: Row) -> None:
        """Step 3. Its group has its positions by now, so its consumer cannot begin anywhere else."""
        version = await self._version(row)
        async with self._scan.acquire() as conn:
            made = await queries.find_ddl(conn, name=version.name, version=version.version, kind="create", since=None)
            if made is None:
                async with conn.transaction():
                    await ddl_orders.order(
                        conn, "create", version.name, version.version, by=row["ordered_by"], reason=row["reason"]
                    )
                await reach("rebuild.after-order")
                return
        if made["state"] == "refused":
            await self._move(row, "fail", f"the table was not made: {made['error']}")
        elif made["state"] == "executed":
            await self._move(row, "scan" if row["source"] == "store" else "catch-up")
            await reach("rebuild.after-begin")
        else:
            await self._tell(row, "waits for the ddl job to make the table (`casestream ddl list` shows what it waits for)")

    async def scan(self, row: Row) -> None:
        """Step 4. The slices are read by `scan`; here is only told how far they are."""
        measured = await self._measured(row)
        if measured is not None and measured.scanned:
            await self._move(row, "catch-up")
            await reach("rebuild.after-scan")

    async def catch_up(self, row: Row) -> None:
        """Step 5. With every new look the goals are the ends of that moment, until the group passes them at once."""
        if row["source"] == "store" and await self._has_parked_again(row):
            await self._move(row, "scan")
            return
        measured = await self._measured(row)
        if measured is None:
            return
        if measured.caught_up:
            await reach("rebuild.before-ready")
            async with self._scan.acquire() as conn, conn.transaction():
                moved = await commands.move(conn, row["rebuild_id"], "finish")
                if not isinstance(moved, Rejected):
                    await set_state(conn, row["name"], row["version"], {"building"}, "ready")
            log.info("rebuild ready", rebuild_id=str(row["rebuild_id"]), version=f"{row['name']}.v{row['version']}")
        elif measured.goals_passed or measured.total == 0:
            version = await self._version(row)
            ends = await (await self._asked()).ends(version.topics)
            async with self._worker.acquire() as conn:
                await set_goals(conn, row["rebuild_id"], ends)

    async def rest(self, row: Row) -> None:
        """Paused: its group stands still. What the scan reads stops by itself."""
        version = await self._version(row)
        async with self._worker.acquire() as conn:
            switch = await queries.group_switch(conn, group_name=version.group.name)
            if switch is None or switch["state"] == "running":
                await queries.stop_group(conn, group_name=version.group.name, reason=f"{STOPPED_BY_US}paused: {row['message']}")

    async def _measured(self, row: Row) -> Measure | None:
        """Measure and write it down; None when the rebuild was paused because of what was found."""
        version = await self._version(row)
        async with tenants_transaction(self._worker, await self._tenants(row)) as conn:
            found = await measure(conn, row, version.group.name)
            await commands.queries.set_progress(
                conn, rebuild_id=row["rebuild_id"], applied=found.applied, total=found.total, errors=found.errors
            )
        if over_budget(found.errors, row["forgiven"], found.total, row["error_budget"]):
            await self._pause(row, version, f"{found.errors} of {found.total} could not be applied", found.errors)
            return None
        return found if await self._is_running(row, version) else None

    async def _is_running(self, row: Row, version: TableVersion) -> bool:
        """Start the group that we stopped; a rebuild whose group somebody else stopped (a storm of poison) pauses."""
        async with self._worker.acquire() as conn:
            switch = await queries.group_switch(conn, group_name=version.group.name)
            if switch is None or switch["state"] == "running":
                return True
            if not switch["reason"].startswith(STOPPED_BY_US):
                await self._pause(row, version, f"its group was stopped: {switch['reason']}", row["errors"])
                return False
            await self._go_on(row, version)
        return True

    async def _go_on(self, row: Row, version: TableVersion) -> None:
        async with tenants_transaction(self._worker, await self._tenants(row)) as again:
            await queries.lay_parked(again, rebuild_id=row["rebuild_id"])
            await queries.start_group(again, group_name=version.group.name)
            await close(
                again,
                ["rebuild-paused", "group-stopped"],
                [str(row["rebuild_id"]), version.group.name],
                actor=row["ordered_by"],
                resolution="the rebuild was resumed",
            )

    async def _has_parked_again(self, row: Row) -> bool:
        async with self._worker.acquire() as conn:
            return not (await queries.scan_progress(conn, rebuild_id=row["rebuild_id"]))["done"]

    async def _pause(self, row: Row, version: TableVersion, why: str, errors: int) -> None:
        async with tenants_transaction(self._worker, []) as conn:
            moved = await commands.move(conn, row["rebuild_id"], "pause", why)
            if isinstance(moved, Rejected):
                return
            # What a resume forgives: the progress that is written once a second may be older.
            await commands.queries.set_errors(conn, rebuild_id=row["rebuild_id"], errors=errors)
            await queries.stop_group(conn, group_name=version.group.name, reason=f"{STOPPED_BY_US}paused: {why}")
            await open_incidents(conn, [_paused(row, version, why)])
        log.warning("rebuild paused", rebuild_id=str(row["rebuild_id"]), reason=why)

    async def _version(self, row: Row) -> TableVersion:
        async with self._worker.acquire() as conn:
            return await find_version(conn, row["name"], row["version"])

    async def _tenants(self, row: Row) -> list[str]:
        return [row["trial_tenant"]] if row["trial_tenant"] else await all_tenants(self._scan)

    async def _move(self, row: Row, event: Event, message: str = "") -> None:
        async with tenants_transaction(self._worker, []) as conn:
            moved = await commands.move(conn, row["rebuild_id"], event, message)
            if event == "fail" and not isinstance(moved, Rejected):
                await open_incidents(conn, [_failed(row, message)])
        if not isinstance(moved, Rejected):
            log.info("rebuild moved", rebuild_id=str(row["rebuild_id"]), state=moved["state"], reason=message)

    async def _tell(self, row: Row, message: str) -> None:
        async with self._worker.acquire() as conn:
            await commands.queries.set_message(conn, rebuild_id=row["rebuild_id"], state=row["state"], message=message)


async def all_tenants(scan: asyncpg.Pool) -> list[str]:
    """Every tenant's id: only the scanning role may list them."""
    return await queries.list_tenants(scan)  # type: ignore[no-any-return]


def _failed(row: Row, why: str) -> Incident:
    return Incident(
        tenant_id="",
        kind="rebuild-failed",
        fingerprint="rebuild-failed",
        object_type="rebuild",
        object_id=str(row["rebuild_id"]),
        summary=f"the rebuild of {row['name']}.v{row['version']} failed: {why}",
        cure=f"mend the cause; casestream projection retire {row['name']} --version {row['version']}; order it again",
    )


def _paused(row: Row, version: TableVersion, why: str) -> Incident:
    return Incident(
        tenant_id="",
        kind="rebuild-paused",
        fingerprint="rebuild-paused",
        object_type="rebuild",
        object_id=str(row["rebuild_id"]),
        summary=f"the rebuild of {version.label} paused itself: {why}",
        cure=f"casestream dlt list --group {version.group.name}; mend the cause; casestream projection resume {version.name}",
    )


_STEPS = {
    "ordered": Conductor.plan,
    "planned": Conductor.prepare,
    "prepared": Conductor.order_table,
    "scanning": Conductor.scan,
    "catching-up": Conductor.catch_up,
    "paused": Conductor.rest,
}
