"""AWS Signature Version 4, pure: a request and credentials to the headers that sign it.

Checked in the tests against AWS's published test suite and its published signing keys.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_BLANKS = re.compile(" +")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs. `session_token` only of credentials that end."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What is signed: `headers` with Host, `query` as it stands in the address."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def signed_headers(request: Request, credentials: Credentials, *, region: str, service: str, at: datetime) -> dict[str, str]:
    """The request's headers with X-Amz-Date, the session's token and Authorization."""
    moment = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {**request.headers, "X-Amz-Date": moment}
    if credentials.session_token:
        headers["X-Amz-Security-Token"] = credentials.session_token
    names, canonical = canonical_request(request, headers)
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = signing_key(credentials.secret_access_key, moment[:8], region, service)
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    by = f"Credential={credentials.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "Authorization": f"{_ALGORITHM} {by}"}


def canonical_request(request: Request, headers: Mapping[str, str]) -> tuple[str, str]:
    """The names of the signed headers, and the text whose hash is signed."""
    lower = {name.lower(): _BLANKS.sub(" ", value.strip()) for name, value in headers.items()}
    names = ";".join(sorted(lower))
    pairs = sorted((_escaped(name), _escaped(value)) for name, value in parse_qsl(request.query, keep_blank_values=True))
    lines = (
        request.method,
        quote(request.path, safe="/-_.~"),
        "&".join(f"{name}={value}" for name, value in pairs),
        "".join(f"{name}:{lower[name]}\n" for name in sorted(lower)),
        names,
        hashlib.sha256(request.body).hexdigest(),
    )
    return names, "\n".join(lines)


def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    """The key of one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _escaped(text: str) -> str:
    return quote(text, safe="-_.~")
