"""One object for every path parameter that routes know, for tests that go through all routes."""

import asyncio
import uuid
from typing import Any

import asyncpg
import requests

from domain.incidents import open_incident
from tests.infrastructure.databases import ClonedDatabase
from tests.unit.api.tokens import token

NOTIFICATION = uuid.UUID(int=7)


async def make_notification(database: ClonedDatabase, user: str) -> None:
    """A notification of a user of the tenant north; rules write them, so no door does."""
    conn = await asyncpg.connect(database.url("migrate"))
    try:
        await conn.execute(
            "insert into notifications (tenant_id, user_id, notification_id, title, message, priority)"
            " values ('north', $1, $2, 'Deal', 'Printer', 'HIGH')",
            user,
            NOTIFICATION,
        )
    finally:
        await conn.close()


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
    headers = {"Authorization": f"Bearer {token(roles=['admin'])}"}
    words = {"name": "Welcome", "subject": "Hi {{name}}", "text": "Printer"}
    requests.put(f"{address}/api/v1/message-templates/123", json=words, headers=headers, timeout=10).raise_for_status()
    requests.put(f"{address}/api/v1/secrets/crm_token", json={"value": "x"}, headers=headers, timeout=10).raise_for_status()
    asyncio.run(make_notification(database, "an"))
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
        "template_id": "123",
        "secret_name": "crm_token",
        "notification_id": str(NOTIFICATION),
        "entity_type": "LEAD",
        "instance_id": "nobodys",
        # Whose it is, is in tests/integration/api/test_interactions.py.
        "interaction_id": str(uuid.UUID(int=8)),
        "step_name": "profile",
        "call_id": str(uuid.UUID(int=9)),
        "flow_version": "v1",
        "event_number": "1",
        # Ids that are nobody's: what exists is in tests/integration/api/test_rules.py.
        "rule_id": str(uuid.UUID(int=2)),
        "run_id": str(uuid.UUID(int=3)),
        # Of the installation; one that exists would hold its stream of progress open.
        "rebuild_id": str(uuid.UUID(int=1)),
    }
