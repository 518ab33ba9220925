"""The peer: a bare FastAPI route with a token check, the tenant's setting and the statements of an action. Nothing else.

No roles, no problems, no idempotency, no state machine, no log, no metrics: what the door costs is the difference.
"""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import jwt
from fastapi import Depends, FastAPI, Header
from jwt import PyJWK
from pydantic import BaseModel

from domain.outbox.append import queries as outbox_queries
from domain.work_items.store import queries as item_queries

_STATUS = {"SetWaitingCustomer": "waiting_customer", "BackToInProgress": "in_progress"}


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
        tenant, user, now = claims["tenant"], claims["sub"], datetime.now(UTC)
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute("select set_config('app.tenant', $1, true)", tenant)
            rows = await item_queries.lock_work_items(conn, tenant_ids=[tenant], ids=[item_id], assignee_ids=[None])
            old, new = rows[0], _STATUS[body.action]
            await item_queries.update_work_items(conn, **_item(old, new, user, now), **_step(old, new, body, user, now))
            await outbox_queries.insert_outbox_events(conn, **_event(old, new, body, user, now))
        return {"workItemId": str(item_id), "oldStatus": old["status"], "newStatus": new, "statusChanged": True}

    return app


def _item(old: Any, new: str, user: str, now: datetime) -> dict[str, Any]:
    return {
        "tenant_ids": [old["tenant_id"]],
        "ids": [old["id"]],
        "loaded": [old["version"]],
        "statuses": [new],
        "versions": [old["version"] + 1],
        "event_sequences": [old["event_sequence"] + 1],
        "history_lengths": [old["history_length"] + 1],
        "cycles": [old["cycle"]],
        "assignee_ids": [old["assignee_id"]],
        "last_action_at": [now],
        "closed_at": [None],
        "updated_by": [user],
    }


def _step(old: Any, new: str, body: Action, user: str, now: datetime) -> dict[str, Any]:
    return {
        "step_tenant_ids": [old["tenant_id"]],
        "step_ids": [old["id"]],
        "step_positions": [old["history_length"] + 1],
        "step_from": [old["status"]],
        "step_to": [new],
        "step_actions": [body.action],
        "step_by": [user],
        "step_assignees": [old["assignee_id"]],
        "step_notes": [body.note],
        "step_sources": ["CRM_UI"],
        "step_at": [now],
    }


def _event(old: Any, new: str, body: Action, user: str, now: datetime) -> dict[str, Any]:
    payload = {"workItemId": old["id"], "oldStatus": old["status"], "newStatus": new, "action": body.action}
    key = f"{old['tenant_id']}|work_item|{old['id']}".encode()
    return {
        "event_ids": [uuid.uuid4()],
        "tenant_ids": [old["tenant_id"]],
        "shards": [0],
        "aggregates": ["work_item"],
        "aggregate_ids": [old["id"]],
        "sequences": [old["event_sequence"] + 1],
        "topics": ["work-items.events.v1"],
        "keys": [key],
        "event_types": ["WORK_ITEM_STATUS_CHANGED"],
        "headers": [b"x" * 500],
        "payloads": [json.dumps(payload).encode()],
        "occurred_at": [now],
        "created_by": [user],
        "traceparents": [None],
    }
