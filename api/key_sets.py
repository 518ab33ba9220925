"""The public keys of one issuer: a JWKS file or pinned https address, cached and followed when the issuer rotates.

A key enters only with a key id, a type that a pinned algorithm uses and enough strength; shared secrets (`oct`) never do.
Nothing from a token chooses where keys come from: its `kid` is a name to look up, no more.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from runtime.logging import get_logger
from schemas.errors import TransientError

log = get_logger(__name__)

# A fresh set is trusted this long; an unknown key id asks again, but not more often than the pause.
FRESH_SECONDS = 300.0
PAUSE_SECONDS = 10.0
# A whole download, however slowly it drips, and what a request with a stale key gives it.
_DEADLINE_SECONDS = 5.0
_MOMENT_SECONDS = 0.25
_LARGEST_SET = 256 * 1024
_SMALLEST_RSA_BITS = 2048

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key with the only algorithms that it may verify."""

    key: PublicKey
    algorithms: frozenset[str]


class KeySet:
    """Finds an issuer's keys by id. `read` fetches the JWKS text and raises OSError, httpx.HTTPError or ValueError."""

    def __init__(
        self,
        read: Callable[[], Awaitable[bytes]],
        pinned: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
        deadline: float = _DEADLINE_SECONDS,
    ) -> None:
        self._read = read
        self._deadline = deadline
        self._pinned = frozenset(pinned)
        self._clock = clock
        self._keys: dict[str, VerificationKey] = {}
        self._read_at = self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> VerificationKey | None:
        """The key, or None when the issuer has none of that id. Raises TransientError while no set was ever read.

        A known key is never kept waiting by an issuer that hangs: the first request that finds it stale gives the issuer a
        moment to withdraw it, all others go on. Only an unknown key id waits for the answer.
        """
        known = self._keys.get(key_id)
        if known is None:
            await self._refresh()
        elif self._clock() - self._read_at > FRESH_SECONDS and self._reading is None:
            await self._refresh(_MOMENT_SECONDS)
        if self._read_at == float("-inf"):
            raise TransientError("reading an issuer's key set failed; see the log, then the address in CASESTREAM_JWT_ISSUERS")
        return self._keys.get(key_id)

    async def ready(self) -> bool:
        """Whether keys are at hand; asks once when none were read yet."""
        if not self._keys:
            await self._refresh()
        return bool(self._keys)

    async def _refresh(self, patience: float | None = None) -> None:
        """Wait for the reading under way, or for a new one when the last is old enough; it goes on when we lose patience."""
        if self._reading is None:
            if self._clock() - self._tried_at < PAUSE_SECONDS:
                return
            self._tried_at = self._clock()
            self._reading = asyncio.create_task(self._read_keys())
        await asyncio.wait({self._reading}, timeout=patience)

    async def _read_keys(self) -> None:
        try:
            async with asyncio.timeout(self._deadline):
                content = await self._read()
            self._keys = accepted_keys(json.loads(content), self._pinned)
            self._read_at = self._clock()
        except (OSError, httpx.HTTPError, ValueError, RecursionError) as error:
            # Keys that were read before stay good while their issuer is away.
            log.warning("reading an issuer's key set failed", error=error)
        finally:
            self._reading = None


def reader_of(location: str) -> Callable[[], Awaitable[bytes]]:
    """How to read a JWKS: an https address through a bounded request without redirects, else an absolute path."""
    if location.startswith("https://"):
        return lambda: _download(location)
    return lambda: asyncio.to_thread(Path(location).read_bytes)


async def _download(address: str) -> bytes:
    async with (
        httpx.AsyncClient(timeout=5.0, follow_redirects=False, trust_env=False) as client,
        client.stream("GET", address) as response,
    ):
        response.raise_for_status()
        content = b""
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > _LARGEST_SET:
                raise ValueError("the key set is too large")
        return content


def accepted_keys(document: Any, pinned: frozenset[str]) -> dict[str, VerificationKey]:
    """The usable keys of a JWKS document by id. Raises ValueError for a document that is none."""
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("the key set has no list of keys")
    found = {}
    for jwk in document["keys"]:
        key = _accepted_key(jwk, pinned) if isinstance(jwk, dict) else None
        if key is not None:
            found[jwk["kid"]] = key
    return found


def _accepted_key(jwk: Mapping[str, Any], pinned: frozenset[str]) -> VerificationKey | None:
    if not isinstance(jwk.get("kid"), str) or jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        return None
    if jwk.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    try:
        # The algorithm is only the parser's; which ones the key may verify is decided below.
        parsed = jwt.PyJWK({**jwk, "alg": _PARSER[jwk["kty"]](jwk)}).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    algorithms = _algorithms_of(parsed) & pinned
    if "alg" in jwk:
        algorithms &= {jwk["alg"]}
    return VerificationKey(parsed, frozenset(algorithms)) if algorithms else None


def _algorithms_of(key: Any) -> frozenset[str]:
    """The algorithms that fit a key's type and strength: the binding that stops one kind of key passing as another."""
    match key:
        case rsa.RSAPublicKey() if key.key_size >= _SMALLEST_RSA_BITS:
            return frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
        case ec.EllipticCurvePublicKey():
            return frozenset(_CURVES.get(key.curve.name, ()))
        case ed25519.Ed25519PublicKey():
            return frozenset({"EdDSA"})
        case _:
            return frozenset()


_CURVES = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
_CURVE_ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_PARSER: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "RSA": lambda jwk: "RS256",
    "EC": lambda jwk: _CURVE_ALGORITHMS[jwk["crv"]],
    "OKP": lambda jwk: "EdDSA",
}
