"""Webhooks: a signed call to an address that a tenant wrote, through the guard of runtime/outbound.

| answer | means |
|---|---|
| 2xx | done |
| 408, 425, 429, 5xx, no answer | again; `Retry-After` counts, up to an hour |
| 3xx, other 4xx | refused: the same call would be answered the same |
| denied address, reserved or broken header, missing secret, more than 20 kB | refused, and nobody was called |

Secrets are put into headers here and nowhere else; they are in no log, no answer and no row.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic import ValidationError

from domain.effects.effect import Answer, Call, Done, Refused, Retry
from domain.secrets.naming import SIGNING, signing_key
from domain.secrets.reads import LiveSecret
from domain.templating import secret_names, with_secrets
from runtime.outbound import Answered, Denied, Failed, Outbound
from schemas.errors import DecryptionFailed, TransientError
from schemas.outgoing import PAYLOAD_BYTES, WebhookRequest
from workers.senders.secrets_access import SecretsOf
from workers.senders.standard_webhooks import ID, SIGNATURE, TIMESTAMP, signed_headers

KIND = "webhook"
LONGEST_WAIT = 3_600.0

_AGAIN = frozenset({408, 425, 429})
# The message's frame and its proof are ours to say.
_RESERVED = frozenset(
    "host content-length transfer-encoding connection keep-alive te trailer upgrade expect".split() + [ID, TIMESTAMP, SIGNATURE]
)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

Headers = list[tuple[str, str]]


class WebhookSender:
    """`secrets` reads a tenant's live values; `clock` says the time of an attempt."""

    kind = KIND

    def __init__(self, outbound: Outbound, secrets: SecretsOf, clock: Callable[[], datetime]) -> None:
        self._outbound, self._secrets, self._clock = outbound, secrets, clock

    async def send(self, call: Call) -> Answer:
        """Make the call once."""
        try:
            request = WebhookRequest.model_validate(call.request)
        except ValidationError:
            return Refused("request-unreadable")
        body = request.body.encode(errors="replace")
        if len(body) > PAYLOAD_BYTES:
            return Refused("payload-too-large", {"bytes": len(body)})
        secrets = await self._live(call.tenant_id, request)
        if isinstance(secrets, Retry | Refused):
            return secrets
        now = self._clock()
        headers = _headers(call, request, body, secrets, now)
        if isinstance(headers, Refused):
            return headers
        return answer_of(await self._outbound.call(request.method, request.url, headers, body), now)

    async def _live(self, tenant_id: str, request: WebhookRequest) -> Mapping[str, LiveSecret] | Retry | Refused:
        named = {name for value in request.headers.values() for name in secret_names(value)}
        try:
            return await self._secrets(tenant_id, {*named, request.signing_secret or SIGNING})
        except TransientError:
            return Retry("secrets-away")
        except DecryptionFailed:
            return Refused("secret-unreadable")


def _headers(
    call: Call, request: WebhookRequest, body: bytes, secrets: Mapping[str, LiveSecret], now: datetime
) -> Headers | Refused:
    own = _own_headers(request, body, secrets)
    keys = _signing_keys(request, secrets)
    if isinstance(own, Refused):
        return own
    if isinstance(keys, Refused):
        return keys
    return [*own, *signed_headers(call.effect_id, int(now.timestamp()), body, keys)]


def _own_headers(request: WebhookRequest, body: bytes, secrets: Mapping[str, LiveSecret]) -> Headers | Refused:
    found: Headers = []
    for name, text in request.headers.items():
        if name.lower() in _RESERVED or name.lower().startswith("proxy-"):
            return Refused("header-reserved")
        if any(secret not in secrets for secret in secret_names(text)):
            return Refused("secret-missing")
        value = with_secrets(text, lambda secret: secrets[secret].newest).strip()
        if _CONTROL.search(value):
            return Refused("header-control-character")
        found.append((name, value))
    given = {name.lower() for name, _ in found}
    defaults = [("User-Agent", "casestream"), ("Accept", "*/*")] + ([("Content-Type", "application/json")] if body else [])
    return [*(pair for pair in defaults if pair[0].lower() not in given), *found]


def _signing_keys(request: WebhookRequest, secrets: Mapping[str, LiveSecret]) -> list[bytes] | Refused:
    live = secrets.get(request.signing_secret or SIGNING)
    if live is None:
        # A tenant that has no such secret signs nothing; one that names it means it.
        return Refused("secret-missing") if request.signing_secret else []
    keys = [signing_key(value) for value in live.values]
    good = [key for key in keys if key is not None]
    return good if len(good) == len(keys) else Refused("signing-secret-form")


def answer_of(said: Answered | Denied | Failed, now: datetime) -> Answer:
    """What an attempt's end means for the effect."""
    if isinstance(said, Denied):
        return Refused(f"denied-{said.reason}")
    if isinstance(said, Failed):
        return Retry(f"network-{said.reason}")
    detail = {"status": said.status, **({"cut": True} if said.cut else {})}
    if 200 <= said.status < 300:
        return Done(detail)
    if said.status in _AGAIN or said.status >= 500 or said.status < 200:
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
