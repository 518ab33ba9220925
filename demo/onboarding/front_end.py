"""The front end of the bank, and its people at their desks: HTTP, with one key per request until somebody answers.

Processes and the database die while it works; a request that got no answer is sent again under its key, and is done once.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx

from schemas.errors import TransientError

ONBOARDING = "/api/onboarding"
REVIEWS = "/api/v1/reviews"
PATIENCE_SECONDS = 120.0
_RETRIED = frozenset({429, 500, 502, 503, 504})
_PAUSE_SECONDS = 0.1


class FrontEnd:
    """Speaks for whoever holds the token. `repeats`: requests that had to be sent again."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.repeats = 0
        self.refused: Counter[str] = Counter()

    async def post(self, token: str, path: str, body: Mapping[str, Any], key: str) -> dict[str, Any] | None:
        """The answer; None when it was refused, which `refused` counts by code. Raises TransientError after all patience."""
        headers = {"authorization": f"Bearer {token}", "idempotency-key": f'"{key}"'}
        response = await self._send("POST", path, headers, body)
        if response.is_success:
            return dict(response.json())
        self.refused[f"{path.rpartition('/')[2]}: {response.json().get('error', response.status_code)}"] += 1
        return None

    async def get(self, token: str, path: str) -> dict[str, Any]:
        """What is there. Raises TransientError for anything but an answer."""
        response = await self._send("GET", path, {"authorization": f"Bearer {token}"}, None)
        if not response.is_success:
            raise TransientError(f"{path} answered {response.status_code}: {response.text[:200]}")
        return dict(response.json())

    async def stands(self, token: str, instance_id: str, *states: str) -> dict[str, Any]:
        """Wait until the journey waits for its customer in one of these states, or has ended."""
        while True:
            seen = await self.get(token, f"{ONBOARDING}/{instance_id}/status")
            if seen["endedAt"] is not None or (seen["currentState"] in states and seen["nextActions"]):
                return seen
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _send(self, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any] | None) -> httpx.Response:
        end = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            try:
                response = await self._client.request(method, path, headers=dict(headers), json=body)
                if response.status_code not in _RETRIED:
                    return response
            except httpx.TransportError:
                pass
            if asyncio.get_running_loop().time() > end:
                raise TransientError(f"{path} was not answered in {PATIENCE_SECONDS:g} s")
            self.repeats += 1
            await asyncio.sleep(_PAUSE_SECONDS)
