"""Everything between a stored case and a plain table, for real: store, relay, ddl job, fleet; the released mappings."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from domain.cases.commands import remove_case, store_snapshot
from domain.cases.known_classes import known_classes
from domain.cases.mapping.tables import TableSpec, table_specs
from domain.cases.mapping_store import released_files
from domain.outbox import Outbox
from outbox_relay import relay
from projections.ddl_role import DdlJob
from projections.fleet import Fleet
from runtime.keys.ring import KeyRing, open_key_ring
from runtime.postgres import open_pool
from runtime.settings import Settings
from schemas.caller import Caller
from schemas.cases import RemoveCase, StoreSnapshot
from schemas.errors import Rejected
from schemas.registry import dlt_topic
from tests.e2e.shell.harness import environ_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.integration.keys.conftest import keks
from tests.waiting import until

TOPIC = "case.snapshots.v1"
TENANTS = ("north", "south")
PARTITIONS = 2


def released_spec(name: str) -> TableSpec:
    specs, _ = table_specs(released_files())
    return next(spec for spec in specs if spec.name == name)


@dataclass
class House:
    """`owner` is the owner role's pool, `api` the door's."""

    settings: Settings
    kafka: FreshKafka
    owner: asyncpg.Pool
    api: asyncpg.Pool
    keys: asyncpg.Pool
    ring: KeyRing
    job: DdlJob
    fleet: Fleet

    async def store(self, case_id: str, class_name: str, tenant: str = "north", subject: str = "s-1", **variables: Any) -> None:
        """A persist point of user `an`, in a transaction of the HTTP door's role."""
        command = StoreSnapshot(case_id=case_id, class_name=class_name, subject_id=subject, variables=json.dumps(variables))
        classes = known_classes(released_files())
        async with self.api.acquire() as conn, conn.transaction():
            await conn.execute("select set_config('app.tenant', $1, true)", tenant)
            outcome = await store_snapshot(conn, Outbox("casestream"), self.ring, _caller(tenant), command, classes)
        assert not isinstance(outcome, Rejected), outcome

    async def remove(self, case_id: str, tenant: str = "north") -> None:
        async with self.api.acquire() as conn, conn.transaction():
            await conn.execute("select set_config('app.tenant', $1, true)", tenant)
            outcome = await remove_case(conn, Outbox("casestream"), _caller(tenant), RemoveCase(case_id=case_id))
        assert not isinstance(outcome, Rejected), outcome

    async def look(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.owner.fetch(query, *arguments)]

    async def row(self, table: str, case_id: str, **expected: Any) -> dict[str, Any]:
        """The case's row, as soon as these columns are so."""

        async def found() -> dict[str, Any] | None:
            for row in await self.look(f"select * from {table} where case_id = $1", case_id):
                if all(row[name] == value for name, value in expected.items()):
                    return row
            return None

        return await until(found, what=f"{case_id} in {table} with {expected}") or {}

    async def until_parked(self, group: str, count: int = 1) -> list[dict[str, Any]]:
        async def parked() -> list[dict[str, Any]]:
            rows = await self.look('select * from parked_messages where group_name = $1 order by partition, "offset"', group)
            return rows if len(rows) >= count else []

        return list(await until(parked, what=f"{count} parked messages of {group}"))


def _groups() -> Iterator[tuple[str, str]]:
    yield "projections.work_item_board.v1", "work-items.events.v1"
    for name in ("case_plain_incident", "case_plain_order_case", "case_work"):
        yield f"projections.{name}.v1", TOPIC


def _caller(tenant: str) -> Caller:
    return Caller(tenant, "an", frozenset({"supervisor"}), "CRM_UI")


@asynccontextmanager
async def open_house(database: ClonedDatabase, keys: ClonedDatabase, kafka: FreshKafka, home: Path) -> AsyncIterator[House]:
    """With first versions of all released tables, made and consumed; everything ends with the test."""
    settings = Settings.load(
        {
            **environ_for(database, kafka),
            "KEYS_DATABASE_URL": keys.url("keys"),
            "CASESTREAM_HOME": str(home),
            "CASESTREAM_KEYS__PROVIDER": "environment",
            "CASESTREAM_KEYS__KEKS": keks("kek-1"),
        }
    )
    # The fleet makes what is missing; with few partitions these are made in a tenth of the time.
    letters = [dlt_topic(topic, group) for group, topic in _groups()]
    await kafka.create_topics([TOPIC, "work-items.events.v1", *letters], PARTITIONS)
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        owner = await stack.enter_async_context(asyncpg.create_pool(database.url("migrate"), min_size=1, max_size=4))
        keys_pool = await stack.enter_async_context(asyncpg.create_pool(keys.url("superuser"), min_size=1, max_size=2))
        api = await open_pool(settings, "api")
        stack.push_async_callback(api.close)
        ring = await stack.enter_async_context(open_key_ring(settings))
        for tenant in TENANTS:
            await owner.execute("insert into tenants (tenant_id, name) values ($1, $1)", tenant)
        job, fleet = DdlJob(owner, development=True), Fleet(settings, 0, stop)
        await job.round()
        await job.round()
        tasks = [asyncio.create_task(relay.run(settings, stop)), asyncio.create_task(fleet.run())]
        try:
            await until(lambda: fleet.ready, 60, "the fleet")
            yield House(settings, kafka, owner, api, keys_pool, ring, job, fleet)
        finally:
            stop.set()
            await asyncio.wait_for(asyncio.gather(*tasks), 60)
