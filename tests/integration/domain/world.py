"""What the tests of subjects begin with: two tenants with people, a caller, a connection in a tenant's transaction."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from domain.outbox import Outbox
from domain.work_items.decisions import Decided, Outcome
from runtime.ids import uuid7
from runtime.postgres import array_literal
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.work_items import ApplyAction, CreateWorkItem, Source
from tests.infrastructure.databases import ClonedDatabase, Role

OUTBOX = Outbox("casestream")

PEOPLE = """
insert into tenants (tenant_id, name) values ('north', 'North'), ('south', 'South');
insert into users (tenant_id, user_id, display_name, active) values
    ('north', 'an', 'An', true), ('north', 'bo', 'Bo', true), ('north', 'cy', 'Cy', true), ('north', 'gone', 'Gone', false),
    ('south', 'an', 'Another An', true);
"""


class World:
    """A database with people in it. Connections are the doors' roles; `look` reads everything as the owner."""

    def __init__(self, database: ClonedDatabase) -> None:
        self.database = database
        self._pools: dict[Role, asyncpg.Pool] = {}

    async def close(self) -> None:
        """End every connection."""
        for pool in self._pools.values():
            await pool.close()

    async def pool(self, role: Role) -> asyncpg.Pool:
        """Connections of one role, made when first asked for."""
        if role not in self._pools:
            self._pools[role] = await asyncpg.create_pool(self.database.url(role), min_size=1, max_size=4)
        return self._pools[role]

    @asynccontextmanager
    async def api(self, tenant_id: str = "north") -> AsyncIterator[Connection]:
        """One transaction of the HTTP door."""
        async with self._transaction("api", "app.tenant", tenant_id) as conn:
            yield conn

    @asynccontextmanager
    async def worker(self, *tenant_ids: str) -> AsyncIterator[Connection]:
        """One transaction of a processor."""
        async with self._transaction("worker", "app.tenants", array_literal(tenant_ids or ("north",))) as conn:
            yield conn

    @asynccontextmanager
    async def _transaction(self, role: Role, setting: str, value: str) -> AsyncIterator[Connection]:
        async with (await self.pool(role)).acquire() as conn, conn.transaction():
            await conn.execute("select set_config($1, $2, true)", setting, value)
            yield conn

    async def look(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """Rows as their owner sees them."""
        return [dict(row) for row in await (await self.pool("migrate")).fetch(query, *arguments)]

    async def events(self, work_item_id: str) -> list[tuple[int | None, str]]:
        """Number and type of an item's events, in the order in which the relay would send them."""
        rows = await self.look(
            "select sequence, event_type from outbox_events where aggregate_id = $1 order by id", work_item_id
        )
        return [(row["sequence"], row["event_type"]) for row in rows]

    async def history(self, work_item_id: str) -> list[tuple[int, str | None, str, str]]:
        rows = await self.look(
            "select position, from_status, to_status, action from work_item_state_history where work_item_id = $1::uuid "
            "order by position",
            work_item_id,
        )
        return [(row["position"], row["from_status"], row["to_status"], row["action"]) for row in rows]

    async def item(self, work_item_id: str) -> dict[str, Any]:
        (row,) = await self.look("select * from work_items where id = $1::uuid", work_item_id)
        return row


async def populated(database: ClonedDatabase) -> World:
    """The world of a test."""
    world = World(database)
    await (await world.pool("migrate")).execute(PEOPLE)
    return world


def caller(*roles: str, tenant_id: str = "north", source: Source = "CRM_UI", internal: bool = False) -> Caller:
    return Caller(tenant_id, "an", frozenset(roles or ("supervisor",)), source, internal)


def engine(tenant_id: str = "north") -> Caller:
    return Caller(tenant_id, "system:workflow", frozenset({"engine"}), "WORKFLOW_ENGINE", internal=True)


def new_id() -> str:
    return str(uuid7())


def create(work_item_id: str, **fields: Any) -> CreateWorkItem:
    return CreateWorkItem(**({"work_item_id": work_item_id, "title": "A card is lost"} | fields))


def act(work_item_id: str, action: str, **fields: Any) -> ApplyAction:
    return ApplyAction(work_item_id=work_item_id, action=action, **fields)


def decided(outcome: object) -> Decided:
    assert isinstance(outcome, Decided), outcome
    return outcome


def code_of(outcome: Outcome | object) -> str:
    assert isinstance(outcome, Rejected), outcome
    return outcome.code


def path_is_valid(history: Sequence[tuple[int, str | None, str, str]]) -> bool:
    """Positions are gapless and each row begins where its predecessor ended."""
    ends = [None, *(row[2] for row in history)]
    return [row[0] for row in history] == list(range(1, len(history) + 1)) and [row[1] for row in history] == ends[:-1]
