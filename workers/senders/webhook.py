"""Webhooks: a signed call to an address that a tenant wrote, through the guard of runtime/outbound.

| answer | means |
|---|---|
| 2xx | done |
| 408, 425, 429, 5xx, no answer | again; `Retry-After` counts, up to an hour |
| 3xx, other 4xx | refused: the same call would be answered the same |
| denied address, reserved or broken header, missing secret, more than 20 kB | refused, and nobody was called |
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic import ValidationError

from domain.effects.effect import Answer, Call, Done, Refused, Retry
from runtime.outbound import Answered, Denied, Failed
from schemas.outgoing import WebhookRequest
from workers.senders.signed_calls import SignedCalls

KIND = "webhook"
LONGEST_WAIT = 3_600.0

AGAIN = frozenset({408, 425, 429})


class WebhookSender:
    """Webhooks of rules."""

    kind = KIND

    def __init__(self, calls: SignedCalls) -> None:
        self._calls = calls

    async def send(self, call: Call) -> Answer:
        """Make the call once."""
        try:
            request = WebhookRequest.model_validate(call.request)
        except ValidationError:
            return Refused("request-unreadable")
        said = await self._calls.ask(call.tenant_id, call.effect_id, request)
        return said if isinstance(said, Retry | Refused) else answer_of(said, self._calls.clock())


def answer_of(said: Answered | Denied | Failed, now: datetime) -> Answer:
    """What an attempt's end means for the effect."""
    if isinstance(said, Denied):
        return Refused(f"denied-{said.reason}")
    if isinstance(said, Failed):
        return Retry(f"network-{said.reason}")
    detail = {"status": said.status, **({"cut": True} if said.cut else {})}
    if 200 <= said.status < 300:
        return Done(detail)
    if said.status in AGAIN or said.status >= 500 or said.status < 200:
        return Retry(f"http-{said.status}", _wanted_wait(said.headers.get("retry-after"), now), detail)
    return Refused(f"http-{said.status}", detail)


def _wanted_wait(header: str | None, now: datetime) -> float | None:
    """Seconds until the other side wants to be asked again: a number or a date, never longer than LONGEST_WAIT."""
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return min(float(header[:10]), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, IndexError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), LONGEST_WAIT)
