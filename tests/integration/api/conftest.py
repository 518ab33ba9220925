"""The HTTP door on a database of the test's own, with two tenants and a token for whoever is needed."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.server import listen, serve
from runtime.keys.ring import open_key_ring
from runtime.postgres import open_pool
from runtime.settings import Settings
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.keys import key_environment
from tests.integration.api.serving import Listening, asgi_client
from tests.unit.api.tokens import World, token

ITEMS = "/api/crm/work-items"
CASES = "/api/v1/cases"


@dataclass
class Served:
    """An application, its settings, and a client for it."""

    app: FastAPI
    settings: Settings
    pool: asyncpg.Pool
    database: ClonedDatabase
    client: httpx.AsyncClient
    world: World = field(default_factory=World)

    def headers(
        self, roles: tuple[str, ...] = ("agent",), tenant: str = "north", user: str = "an", **more: str
    ) -> dict[str, str]:
        """The headers of a caller; `idempotency_key="x"` becomes Idempotency-Key."""
        others = {name.replace("_", "-"): value for name, value in more.items()}
        return {"authorization": f"Bearer {token(roles=list(roles), tenant=tenant, sub=user)}", **others}

    async def create(self, body: Mapping[str, Any] | None = None, **who: Any) -> dict[str, Any]:
        """A new work item, made over HTTP."""
        headers = self.headers(**{"roles": ("agent",), **who}, idempotency_key=str(uuid4()))
        answer = await self.client.post(ITEMS, json={"title": "Printer is on fire", **(body or {})}, headers=headers)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    async def store(self, case_id: str = "c-1", variables: str = '{"total": 12.50}', **who: Any) -> httpx.Response:
        """A snapshot of an order; `variables` stand in the body as they are given."""
        body = f'{{"className": "com.app.OrderCase", "subjectId": "s-1", "variables": {variables}}}'
        headers = self.headers(**{"idempotency_key": str(uuid4()), "content_type": "application/json", **who})
        return await self.client.post(f"{CASES}/{case_id}/snapshots", content=body, headers=headers)

    async def act(
        self, work_item_id: str, action: str, headers: Mapping[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        """Send an action."""
        return await self.client.post(
            f"{ITEMS}/{work_item_id}/actions",
            json={"action": action, **body},
            headers=headers or self.headers(("supervisor",)),
        )

    async def rows(self, statement: str, *arguments: object) -> list[Any]:
        """What the owner sees of every tenant."""
        conn = await asyncpg.connect(self.database.url("migrate"))
        try:
            return list(await conn.fetch(statement, *arguments))
        finally:
            await conn.close()


def settings_for(database: ClonedDatabase, **changes: str) -> Settings:
    """Settings of an API process on this database."""
    given = {
        "DATABASE_URL": database.url("migrate"),
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "CASESTREAM_HTTP__PORT": "0",
        "CASESTREAM_JWT_ISSUERS": json.dumps([]),
        **key_environment(database),
    }
    return Settings.load({**given, **changes})


async def fill(database: ClonedDatabase) -> None:
    """Two tenants with the same people."""
    conn = await asyncpg.connect(database.url("migrate"))
    try:
        for tenant in ("north", "south"):
            await conn.execute("insert into tenants (tenant_id, name) values ($1, $1)", tenant)
            await conn.executemany(
                "insert into users (tenant_id, user_id, display_name, active) values ($1, $2, $2, $3)",
                [(tenant, "an", True), (tenant, "binh", True), (tenant, "chi", False)],
            )
            await conn.execute("insert into teams (tenant_id, team_id, name) values ($1, 'desk', 'Desk')", tenant)
            await conn.execute("insert into team_members (tenant_id, team_id, user_id) values ($1, 'desk', 'an')", tenant)
    finally:
        await conn.close()


@pytest.fixture
async def served(database: ClonedDatabase, keys_database: ClonedDatabase) -> AsyncIterator[Served]:
    """The application without a network: the client calls it directly."""
    await fill(database)
    settings, world = settings_for(database), World()
    pool = await open_pool(settings, "api", size=16, min_size=0, reset=False)
    async with open_key_ring(settings) as keys:
        app = create_app(settings, pool, world.verifier(), keys=keys)
        async with asgi_client(app) as client:
            yield Served(app, settings, pool, database, client, world)
    await pool.close()


@pytest.fixture
async def listening(served: Served) -> AsyncIterator[Listening]:
    """The same application behind uvicorn on a free port of the loopback."""
    stop, listener = asyncio.Event(), listen(served.settings)
    serving = asyncio.create_task(serve(served.app, listener, stop))
    yield Listening(listener.getsockname()[1])
    stop.set()
    await serving
