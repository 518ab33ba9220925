"""The way in for entity changes from a file: batches over HTTP, at a steady rate, in the order of the file per tenant.

Every event keeps its `eventId`, so a delivery that is repeated, here or by publishing the file again, is a duplicate there.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

import httpx

from schemas.errors import TransientError

PATH = "/api/v1/events"
MOST_EVENTS = 500
# How often a second the pace is kept: a batch holds what is due since the last one.
_BATCHES_A_SECOND = 10
_RETRIED = frozenset({429, 502, 503, 504})
_ATTEMPTS = 60

Event = Mapping[str, Any]


@dataclass(slots=True)
class EventTally:
    """What became of the events. `refused` counts by the problem's code."""

    accepted: int = 0
    duplicates: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class EventPublisher:
    """Sends over HTTP. `tokens`: one per tenant, with a role that may publish. `rate`: events a second; None: no limit."""

    def __init__(self, url: str, tokens: Mapping[str, str], rate: float | None = None) -> None:
        self._url, self._tokens, self._rate = url, tokens, rate
        self.tally = EventTally()

    async def publish(self, events: Iterable[Event], progress: Callable[[int], None]) -> None:
        """Raises TransientError when the API stays away for a minute."""
        loop = asyncio.get_running_loop()
        began, sent = loop.time(), 0
        async with httpx.AsyncClient(base_url=self._url, timeout=30, trust_env=False) as client:
            for batch in batches(events, self._size()):
                if self._rate and (early := began + sent / self._rate - loop.time()) > 0:
                    await asyncio.sleep(early)
                self._note(await self._send(client, batch))
                sent += len(batch)
                progress(len(batch))

    def _size(self) -> int:
        return MOST_EVENTS if self._rate is None else max(1, min(MOST_EVENTS, int(self._rate / _BATCHES_A_SECOND)))

    def _note(self, answer: Mapping[str, Any]) -> None:
        self.tally.accepted += answer["accepted"]
        self.tally.duplicates += answer["duplicates"]
        self.tally.refused.update(item["problem"]["error"] for item in answer["items"] if item["status"] == "refused")

    async def _send(self, client: httpx.AsyncClient, batch: Sequence[Event]) -> Mapping[str, Any]:
        headers = {"authorization": f"Bearer {self._tokens[batch[0]['tenantId']]}"}
        for attempt in range(_ATTEMPTS):
            try:
                response = await client.post(PATH, json={"events": batch}, headers=headers)
            except httpx.TransportError:
                response = None
            if response is not None and response.status_code == 413 and len(batch) > 1:
                return await self._halves(client, batch)
            if response is not None and response.status_code not in _RETRIED:
                return _answer(response, batch)
            await asyncio.sleep(min(0.1 * 2**attempt, 1.0))
        raise TransientError(f"the API at {self._url} did not answer for a minute: is it running? casestream status")

    async def _halves(self, client: httpx.AsyncClient, batch: Sequence[Event]) -> Mapping[str, Any]:
        """A body that is too large, in two."""
        middle = len(batch) // 2
        first, second = await self._send(client, batch[:middle]), await self._send(client, batch[middle:])
        return {name: first[name] + second[name] for name in ("items", "accepted", "duplicates", "refused")}


def _answer(response: httpx.Response, batch: Sequence[Event]) -> Mapping[str, Any]:
    """The answer per event; a problem of the whole request is one of each event."""
    answer: Mapping[str, Any] = response.json()
    if response.is_success:
        return answer
    items = [{"status": "refused", "problem": answer} for _ in batch]
    return {"items": items, "accepted": 0, "duplicates": 0, "refused": len(items)}


def batches(events: Iterable[Event], size: int) -> Iterator[Sequence[Event]]:
    """Consecutive events of one tenant, at most `size` together."""
    for _, of_tenant in groupby(events, key=lambda event: event["tenantId"]):
        while batch := list(islice(of_tenant, size)):
            yield batch
