"""One signed call to an address that a tenant wrote: secrets just before it, the guard of runtime/outbound, one answer.

Secrets are put into headers here and nowhere else; they are in no log, no answer and no row.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

from domain.effects.effect import Refused, Retry
from domain.secrets.naming import SIGNING, signing_key
from domain.secrets.reads import LiveSecret
from domain.templating import secret_names, with_secrets
from runtime.outbound import Answered, Denied, Failed, Outbound
from schemas.errors import DecryptionFailed, TransientError
from schemas.outgoing import PAYLOAD_BYTES, WebhookRequest
from workers.senders.secrets_access import SecretsOf
from workers.senders.standard_webhooks import ID, SIGNATURE, TIMESTAMP, signed_headers

# The message's frame and its proof are ours to say.
_RESERVED = frozenset(
    "host content-length transfer-encoding connection keep-alive te trailer upgrade expect".split() + [ID, TIMESTAMP, SIGNATURE]
)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

Headers = list[tuple[str, str]]


class SignedCalls:
    """`secrets` reads a tenant's live values; `clock` says the time of an attempt."""

    def __init__(self, outbound: Outbound, secrets: SecretsOf, clock: Callable[[], datetime]) -> None:
        self._outbound, self._secrets, self.clock = outbound, secrets, clock

    async def ask(
        self, tenant_id: str, message_id: UUID, request: WebhookRequest, *, signed: bool = False
    ) -> Answered | Denied | Failed | Retry | Refused:
        """Call once. Retry and Refused: nobody was called. `signed`: without a secret that signs nobody is."""
        body = request.body.encode(errors="replace")
        if len(body) > PAYLOAD_BYTES:
            return Refused("payload-too-large", {"bytes": len(body)})
        secrets = await self._live(tenant_id, request)
        if isinstance(secrets, Retry | Refused):
            return secrets
        headers = _headers(message_id, request, body, secrets, self.clock(), signed)
        if isinstance(headers, Refused):
            return headers
        return await self._outbound.call(request.method, request.url, headers, body)

    async def _live(self, tenant_id: str, request: WebhookRequest) -> Mapping[str, LiveSecret] | Retry | Refused:
        named = {name for value in request.headers.values() for name in secret_names(value)}
        try:
            return await self._secrets(tenant_id, {*named, request.signing_secret or SIGNING})
        except TransientError:
            return Retry("secrets-away")
        except DecryptionFailed:
            return Refused("secret-unreadable")


def _headers(
    message_id: UUID, request: WebhookRequest, body: bytes, secrets: Mapping[str, LiveSecret], now: datetime, signed: bool
) -> Headers | Refused:
    own = _own_headers(request, body, secrets)
    keys = _signing_keys(request, secrets, signed)
    if isinstance(own, Refused):
        return own
    if isinstance(keys, Refused):
        return keys
    return [*own, *signed_headers(message_id, int(now.timestamp()), body, keys)]


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


def _signing_keys(request: WebhookRequest, secrets: Mapping[str, LiveSecret], signed: bool) -> list[bytes] | Refused:
    live = secrets.get(request.signing_secret or SIGNING)
    if live is None:
        # A tenant that has no such secret signs nothing, unless the call must be; one that names it means it.
        return Refused("secret-missing") if request.signing_secret or signed else []
    keys = [signing_key(value) for value in live.values]
    good = [key for key in keys if key is not None]
    return good if len(good) == len(keys) else Refused("signing-secret-form")
