"""Cases, a relay, versions that are consumed, and whoever rebuilds, compares and switches: all real, in one process."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from domain.cases.case import CaseClass
from domain.cases.commands import remove_case, store_snapshot
from domain.cases.mapping.model import Provenance
from domain.cases.mapping.tables import ChildSpec, ColumnSpec, Feed, TableSpec
from domain.outbox import Outbox
from domain.rebuilds import commands
from domain.rebuilds.commands import Person, Wish
from outbox_relay import relay
from processors.shell import GroupMember
from projections import ddl_orders
from projections.cases.opening import hash_key_of
from projections.cases.projector import CaseProjector
from projections.rebuild.conductor import Conductor
from projections.rebuild.orders import OrderClerk
from projections.rebuild.scan import StoreScanner
from projections.versions import TableVersion, active_versions, create_version
from projections.work_item_board import WorkItemBoard
from runtime.keys.ring import KeyRing, open_key_ring
from runtime.postgres import open_pool
from runtime.settings import Settings
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.cases import RemoveCase, StoreSnapshot
from schemas.errors import Rejected
from schemas.registry import dlt_topic
from tests.e2e.shell.harness import environ_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.integration.keys.conftest import keks
from tests.waiting import until

TOPIC, TABLE, ORDER = "case.snapshots.v1", "case_plain_order_case", "com.app.OrderCase"
CLASSES = {ORDER: CaseClass("WorkObject", ())}
OPERATOR = Person("operator")
PARTITIONS = 2
HERE = Provenance(ORDER, "file", "orders", "orders.yaml:1")


def fed(column: str, path: str) -> Feed:
    return Feed(column, path, "null", "null", "null", None, HERE)


def spec_of(columns: dict[str, tuple[str, str]], items: dict[str, tuple[str, str]] | None = None) -> TableSpec:
    """A table of orders: column -> (type, path); `items` are the columns of its child table."""
    children: tuple[ChildSpec, ...] = ()
    if items:
        fields = tuple(ColumnSpec(name, kind) for name, (kind, _) in items.items())
        feeds = {ORDER: tuple(fed(name, path) for name, (_, path) in items.items())}
        children = (ChildSpec(f"{TABLE}_items", "$.items", fields, feeds),)
    return TableSpec(
        TABLE,
        tuple(ColumnSpec(name, kind, comment=path) for name, (kind, path) in columns.items()),
        {ORDER: tuple(fed(name, path) for name, (_, path) in columns.items())},
        children,
    )


FIRST = spec_of(
    {"class_name": ("text", "$.className"), "total": ("numeric(12,2)", "$.total"), "state": ("text", "$.state")},
    {"sku": ("text", "$.items[*].sku"), "quantity": ("integer", "$.items[*].quantity")},
)
SECOND = replace(
    FIRST,
    columns=(*FIRST.columns, ColumnSpec("region", "text", comment="$.params['region']")),
    feeds={ORDER: (*FIRST.feeds[ORDER], fed("region", "$.params['region']"))},
)


def document(number: int, items: int = 2) -> str:
    """The variables of an order at its n-th version."""
    lines = [{"sku": f"s{line}-{number}", "quantity": line} for line in range(items)]
    return json.dumps({"total": number + 0.5, "items": lines, "params": {"region": f"r{number % 3}"}})


@dataclass
class World:
    """Everything that a table version lives of. `spec` is what the mappings say now."""

    settings: Settings
    database: ClonedDatabase
    kafka: FreshKafka
    environ: dict[str, str]
    scan: asyncpg.Pool
    worker: asyncpg.Pool
    owner: asyncpg.Pool
    api: asyncpg.Pool
    ring: KeyRing
    spec: TableSpec = FIRST
    members: dict[str, tuple[asyncio.Event, "asyncio.Task[None]"]] = field(default_factory=dict)
    projector: Callable[[TableVersion], Any] | None = None

    def __post_init__(self) -> None:
        self.conductor = Conductor(self.settings, self.scan, self.worker, self._find_table)
        self.clerk = OrderClerk(self.settings, self.scan, self.worker, "test")

    async def _find_table(self, conn: Connection, name: str) -> TableSpec | str | None:
        known: dict[str, TableSpec | str] = {TABLE: self.spec, "work_item_board": "work_item_board"}
        return known.get(name)

    def scanner(self, owner: str = "scanner") -> StoreScanner:
        return StoreScanner(self.scan, self.worker, self.ring, hash_key_of(self.settings), owner)

    async def store(self, case_id: str, number: int, tenant: str = "north", subject: str | None = None, items: int = 2) -> None:
        command = StoreSnapshot(
            case_id=case_id, class_name=ORDER, subject_id=subject or f"s-{case_id}", variables=document(number, items)
        )
        caller = Caller(tenant, "an", frozenset({"supervisor"}), "CRM_UI")
        async with self._tenant(tenant) as conn:
            outcome = await store_snapshot(conn, Outbox("casestream"), self.ring, caller, command, CLASSES)
        assert not isinstance(outcome, Rejected), outcome

    async def remove(self, case_id: str, tenant: str = "north") -> None:
        caller = Caller(tenant, "an", frozenset({"supervisor"}), "CRM_UI")
        async with self._tenant(tenant) as conn:
            outcome = await remove_case(conn, Outbox("casestream"), caller, RemoveCase(case_id=case_id, expected_version=None))
        assert not isinstance(outcome, Rejected), outcome

    @asynccontextmanager
    async def _tenant(self, tenant: str) -> AsyncIterator[Connection]:
        async with self.api.acquire() as conn, conn.transaction():
            await conn.execute("select set_config('app.tenant', $1, true)", tenant)
            yield conn

    async def look(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.owner.fetch(query, *arguments)]

    async def rows(self, version: int, name: str = TABLE, order: str = "1, 2") -> list[dict[str, Any]]:
        return await self.look(f"select * from projections.{name}__v{version} order by {order}")

    async def children(self, version: int) -> list[dict[str, Any]]:
        return await self.rows(version, f"{TABLE}_items", "1, 2, 3")

    async def serve_first(self) -> None:
        """Version 1 of the table, made, consumed from the first event, and shown by the view."""
        async with self.scan.acquire() as conn:
            version = await create_version(conn, self.spec, by="test")
            await ddl_orders.order(conn, "create", TABLE, version, by="test")
        await self.ddl()
        async with self.scan.acquire() as conn:
            await ddl_orders.order(conn, "switch", TABLE, version, by="test")
        await self.ddl()

    async def ddl(self) -> list[ddl_orders.Executed]:
        """One round of the ddl job."""
        async with self.owner.acquire() as conn:
            return await ddl_orders.execute_open(conn, development=True)

    async def follow(self) -> None:
        """What the fleet does: consumers of active versions run, those of others leave."""
        async with self.worker.acquire() as conn:
            active = {version.group.name: version for version in await active_versions(conn)}
        for group, version in active.items():
            if group not in self.members:
                await self.start(version)
        for group in set(self.members) - set(active):
            await self.end(group)

    async def start(self, version: TableVersion) -> None:
        group, stop = version.group, asyncio.Event()
        missing = [name for topic in group.topics if (name := dlt_topic(topic, group.name)) not in self._made]
        if missing:
            await self.kafka.create_topics(missing, PARTITIONS)
            self._made |= set(missing)
        made = self.projector(version) if self.projector is not None else None
        member = GroupMember(self.settings, made or self.consumer(version), f"test-{group.name}", stop)
        self.members[group.name] = stop, asyncio.create_task(member.run())

    _made: set[str] = field(default_factory=set)

    def consumer(self, version: TableVersion) -> Any:
        if version.spec is None:
            return WorkItemBoard(version.version)
        hash_key = hash_key_of(self.settings)
        spec = ddl_orders.spec_of(version)
        return CaseProjector(spec, version.version, self.ring, hash_key=hash_key, trial_tenant=version.trial_tenant)

    async def end(self, group: str) -> None:
        stop, task = self.members.pop(group)
        stop.set()
        await asyncio.wait_for(task, 60)

    async def order(self, source: str = "topic", name: str = TABLE, **more: Any) -> UUID:
        async with self.worker.acquire() as conn, conn.transaction():
            row = await commands.order_rebuild(conn, OPERATOR, Wish(name, source, **more))  # type: ignore[arg-type]
        assert not isinstance(row, Rejected), row
        return UUID(str(row["rebuild_id"]))

    async def rebuild(self, rebuild_id: UUID) -> dict[str, Any]:
        return (await self.look("select * from rebuilds where rebuild_id = $1", rebuild_id))[0]

    async def until_state(self, rebuild_id: UUID, *states: str, seconds: float = 90) -> dict[str, Any]:
        """Everybody does a round until the rebuild is in one of these states."""
        scanners, stop = [self.scanner("a"), self.scanner("b")], asyncio.Event()
        reading = [asyncio.create_task(scanner.run(stop)) for scanner in scanners]
        try:
            async with asyncio.timeout(seconds):
                while (row := await self.rebuild(rebuild_id))["state"] not in states:
                    await self.round()
        except TimeoutError:
            raise AssertionError(f"the rebuild did not get {states}: {await self.rebuild(rebuild_id)}") from None
        finally:
            stop.set()
            await asyncio.gather(*reading)
        return row

    async def round(self) -> None:
        await self.conductor.round()
        await self.ddl()
        await self.follow()
        await asyncio.sleep(0.05)

    async def carry_out(self, wish: Callable[[Connection], Awaitable[Any]], seconds: float = 90) -> dict[str, Any]:
        """Order something about a version and let it be done; the order's last row."""
        async with self.worker.acquire() as conn, conn.transaction():
            row = await wish(conn)
        assert not isinstance(row, Rejected), row
        async with asyncio.timeout(seconds):
            while True:
                await self.clerk.next()
                await self.ddl()
                await self.follow()
                (now,) = await self.look("select * from projection_orders where order_id = $1", row["order_id"])
                if now["state"] not in ("ordered", "running"):
                    return now
                await asyncio.sleep(0.05)

    async def verify(self, version: int, **more: Any) -> dict[str, Any]:
        return await self.carry_out(lambda conn: commands.order_verify(conn, OPERATOR, TABLE, version, **more))

    async def applied(self, version: int, count: int, name: str = TABLE) -> None:
        """Until the version's group has passed as many records as the topic has."""
        group = f"projections.{name}.v{version}"

        async def passed() -> bool:
            await self.follow()
            rows = await self.look("select coalesce(sum(next), 0)::int as n from consumer_offsets where group_name = $1", group)
            return bool(rows[0]["n"] >= count)

        await until(passed, what=f"{group} to pass {count} records")

    async def close(self) -> None:
        for group in list(self.members):
            with suppress(TimeoutError):
                await self.end(group)
        await self.conductor.close()


TENANTS: Sequence[str] = ("north", "south")


@asynccontextmanager
async def running_world(
    database: ClonedDatabase, keys_database: ClonedDatabase, kafka: FreshKafka, home: Path, **changes: str
) -> AsyncIterator[World]:
    """A world with a relay that runs, two tenants, and no table yet."""
    environ = {
        **environ_for(database, kafka),
        "KEYS_DATABASE_URL": keys_database.url("keys"),
        "CASESTREAM_HOME": str(home),
        "CASESTREAM_KEYS__PROVIDER": "environment",
        "CASESTREAM_KEYS__KEKS": keks("kek-1"),
        **changes,
    }
    settings = Settings.load(environ)
    await kafka.create_topics([TOPIC, "work-items.events.v1"], PARTITIONS)
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        pools = {}
        for role in ("scan", "worker", "api"):
            pools[role] = await open_pool(settings, role, size=8)
            stack.push_async_callback(pools[role].close)
        owner = await stack.enter_async_context(asyncpg.create_pool(database.url("migrate"), min_size=1, max_size=4))
        ring = await stack.enter_async_context(open_key_ring(settings))
        for tenant in TENANTS:
            await owner.execute("insert into tenants (tenant_id, name) values ($1, $1)", tenant)
        relaying = asyncio.create_task(relay.run(settings, stop))
        world = World(settings, database, kafka, environ, pools["scan"], pools["worker"], owner, pools["api"], ring)
        try:
            yield world
        finally:
            await world.close()
            stop.set()
            await asyncio.wait_for(relaying, 60)
