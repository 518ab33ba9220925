"""One object for every path parameter that routes know, for tests that go through all routes."""

import asyncio
import uuid
from typing import Any

import asyncpg
import requests

from domain.incidents import open_incident
from tests.infrastructure.databases import ClonedDatabase
from tests.unit.api.tokens import token


async def make_incident(database: ClonedDatabase) -> str:
    """An incident of the tenant north."""
    conn = await asyncpg.connect(database.url("migrate"))
    try:
        found = await open_incident(conn, tenant_id="north", kind="test", fingerprint=uuid.uuid4().hex, summary="A test.")
        return str(found)
    finally:
        await conn.close()


def make_objects(address: str, database: ClonedDatabase) -> dict[str, str]:
    """Made through the server at this address."""
    headers = {"Authorization": f"Bearer {token()}", "Idempotency-Key": uuid.uuid4().hex}
    made = requests.post(f"{address}/api/crm/work-items", json={"title": "Known"}, headers=headers, timeout=10)
    headers["Idempotency-Key"] = uuid.uuid4().hex
    order: dict[str, Any] = {"className": "com.app.OrderCase", "subjectId": "s-1", "variables": {"total": 1}}
    requests.post(f"{address}/api/v1/cases/c-1/snapshots", json=order, headers=headers, timeout=10).raise_for_status()
    return known_objects(made.json()["workItemId"], asyncio.run(make_incident(database)))


def known_objects(work_item_id: str, incident_id: str) -> dict[str, str]:
    """By the names of the path parameters."""
    return {
        "work_item_id": work_item_id,
        "incident_id": incident_id,
        "user_id": "binh",
        "team_id": "desk",
        "case_id": "c-1",
        "class_name": "com.app.OrderCase",
        "entity_type": "LEAD",
        # Of the installation; one that exists would hold its stream of progress open.
        "rebuild_id": str(uuid.UUID(int=1)),
    }
