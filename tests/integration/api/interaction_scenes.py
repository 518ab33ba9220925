"""Interactions as a customer's front end drives them."""

import uuid
from typing import Any

import httpx

from tests.integration.api.conftest import Served

PATH = "/api/v1/interactions"
CUSTOMER = ("customer",)
PROFILE = {"fullName": "Ann Other", "idNumber": "012345678901"}


async def start(served: Served, body: dict[str, Any] | None = None, **who: Any) -> httpx.Response:
    return await served.client.post(PATH, json=body or {}, headers=served.headers(**{"roles": CUSTOMER, **who}))


async def submit(served: Served, interaction: str, step: str, body: dict[str, Any] | None = None, **who: Any) -> httpx.Response:
    headers = served.headers(**{"roles": CUSTOMER, "idempotency_key": str(uuid.uuid4()), **who})
    return await served.client.post(f"{PATH}/{interaction}/steps/{step}", json=body or {}, headers=headers)


async def look(served: Served, interaction: str, wait: float | None = None, **who: Any) -> httpx.Response:
    query = {} if wait is None else {"wait": str(wait)}
    return await served.client.get(f"{PATH}/{interaction}", params=query, headers=served.headers(**{"roles": CUSTOMER, **who}))


async def notice(served: Served, interaction: str, body: dict[str, Any], **who: Any) -> httpx.Response:
    headers = served.headers(**{"roles": ("engine",), "user": "motor", **who})
    return await served.client.post(f"{PATH}/{interaction}/status", json=body, headers=headers)


async def instance_of(served: Served, interaction: str) -> str:
    (row,) = await served.rows(
        "select process_instance_id from flw_process_mapping where interaction_id = $1", uuid.UUID(interaction)
    )
    return str(row["process_instance_id"])
