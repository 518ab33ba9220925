"""Asking a key service over HTTPS: bounded, without redirects or proxies, and with nothing confidential in any error.

A request's body holds a data key. So no error here quotes a request, an answer or another error: status and a code of the
provider's own list are all that is told.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import httpx

from schemas.errors import ConfigurationError, TransientError

TIMEOUT_SECONDS = 5.0
AT_ONCE = 16
_MAX_BYTES = 16_000_000
_TOO_MANY = 429

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: below 500, never 429."""

    status: int
    content: Mapping[str, Any]

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class Remote:
    """One service's address."""

    def __init__(self, name: str, client: httpx.AsyncClient) -> None:
        self.name = name
        self._client = client
        self._places = asyncio.Semaphore(AT_ONCE)

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Raises TransientError where the same attempt may succeed later."""
        try:
            async with self._places:
                response = await self._client.request(method, path, headers=dict(headers), content=body)
        except httpx.HTTPError as error:
            raise TransientError(f"{self.name} does not answer ({type(error).__name__})") from None
        if response.status_code == _TOO_MANY or response.status_code >= 500:
            raise TransientError(f"{self.name} answers {response.status_code}: it throttles us or is not well")
        return Answer(response.status_code, _object(response.content))

    def refuse(self, what: str, answer: Answer, code: object, cure: str) -> NoReturn:
        """Raises ConfigurationError: the service refuses us, and no repetition helps."""
        # A code is one word of the provider's list; anything else could be a text with something in it.
        said = f", {code}" if isinstance(code, str) and code.replace("_", "").isalnum() and len(code) < 80 else ""
        raise ConfigurationError([f"{self.name} refuses to {what} (status {answer.status}{said}): {cure}"])

    def garbled(self, what: str) -> TransientError:
        """For an answer that is not of the documented form: a proxy's page, a cut connection."""
        return TransientError(f"{self.name} answered the call to {what} in another form than it documents")


@asynccontextmanager
async def connect(name: str, setting: str, address: str) -> AsyncIterator[Remote]:
    """A client that is closed at the end. Raises ConfigurationError for an address that is not safe."""
    base = safe_address(setting, address)
    async with httpx.AsyncClient(base_url=base, timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as client:
        yield Remote(name, client)


def safe_address(setting: str, address: str) -> str:
    """The address, which must be https, or http on this machine. Raises ConfigurationError."""
    parts = urlsplit(address)
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ConfigurationError([f"{setting}={address!r}: expected an address such as https://host:port"])
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ConfigurationError([f"{setting}={address!r}: data keys travel to it, so it must be https"])
    return address.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def together(calls: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """All results in order; the first failure ends the others."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


async def read_token(setting: str, path: Path) -> str:
    """The token that an agent keeps fresh in a file, read anew each time. Raises ConfigurationError."""
    try:
        token = (await asyncio.to_thread(path.read_text, encoding="utf-8")).strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError([f"{setting}={path}: no readable token ({type(error).__name__})"]) from None
    if not token or not token.isascii() or not token.isprintable():
        raise ConfigurationError([f"{setting}={path}: the file holds no token"])
    return token


def as_body(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def to_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def from_base64(text: object) -> bytes | None:
    """None for what is no base64."""
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except (binascii.Error, ValueError):
        return None


def _object(raw: bytes) -> dict[str, Any]:
    try:
        content = json.loads(raw) if len(raw) <= _MAX_BYTES else None
    except (ValueError, RecursionError):
        content = None
    return content if isinstance(content, dict) else {}
