"""The peer: a bare FastAPI route with a token check, the tenant's setting and four plain statements of one row each.

No roles, no problems, no idempotency, no state machine, no log, no metrics: what the door costs is the difference. The rows
are of the same size, the pool and uvicorn are set up alike.
"""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zlib import crc32

import asyncpg
import jwt
from fastapi import Depends, FastAPI, Header
from jwt import PyJWK
from pydantic import BaseModel

from runtime.sql import load_queries

queries = load_queries(__file__)
_STATUS = {"SetWaitingCustomer": "waiting_customer", "BackToInProgress": "in_progress"}
_HEADERS = b"h" * 560  # as many bytes as the door's packed CloudEvents headers


class Action(BaseModel):
    """The body of an action."""

    action: str
    note: str | None = None


def create_peer(pool: asyncpg.Pool, jwks: Path) -> FastAPI:
    """The application."""
    app = FastAPI(openapi_url=None)
    key = PyJWK(json.loads(jwks.read_text())["keys"][0]).key

    async def who(authorization: Annotated[str, Header()]) -> dict[str, Any]:
        token = authorization.removeprefix("Bearer ")
        return jwt.decode(token, key, algorithms=["RS256"], audience="casestream", issuer="casestream-development")

    @app.post("/api/crm/work-items/{item_id}/actions")
    async def act(item_id: uuid.UUID, body: Action, claims: Annotated[dict[str, Any], Depends(who)]) -> dict[str, Any]:
        tenant, user, at, status = claims["tenant"], claims["sub"], datetime.now(UTC), _STATUS[body.action]
        same = {"tenant_id": tenant, "user_id": user, "at": at}
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute("select set_config('app.tenant', $1, true)", tenant)
            old = await queries.lock_item(conn, tenant_id=tenant, id=item_id)
            await queries.move_item(conn, **same, id=item_id, status=status)
            await queries.add_step(
                conn,
                **same,
                id=item_id,
                position=old["history_length"] + 1,
                from_status=old["status"],
                to_status=status,
                action=body.action,
                assignee_id=old["assignee_id"],
                note=body.note,
            )
            await queries.add_event(conn, **same, **_event(tenant, item_id, old, status, body, user, at))
        return {"workItemId": item_id, "oldStatus": old["status"], "newStatus": status, "statusChanged": True}

    return app


def _event(tenant: str, item_id: uuid.UUID, old: Any, status: str, body: Action, user: str, at: datetime) -> dict[str, Any]:
    record_key = f"{tenant}|work_item|{item_id}".encode()
    payload = {
        "schemaVersion": 1,
        "workItemId": str(item_id),
        "version": old["version"] + 1,
        "cycle": 0,
        "changedBy": user,
        "changedAt": at.isoformat(),
        "source": "CRM_UI",
        "oldStatus": old["status"],
        "newStatus": status,
        "action": body.action,
        "notifyWorkflow": False,
        "coupling": "strong",
    }
    return {
        "event_id": uuid.uuid4(),
        "shard": crc32(record_key) % 16,
        "aggregate_id": str(item_id),
        "sequence": old["event_sequence"] + 1,
        "key": record_key,
        "headers": _HEADERS,
        "payload": json.dumps(payload).encode(),
    }
