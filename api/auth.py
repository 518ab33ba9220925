"""Who asks: bearer tokens (JWT) of pinned issuers become a Principal, or nothing.

Algorithms and keys are pinned per issuer in the settings; a token's header chooses neither. `kid` only names a key;
`jku`, `jwk`, `x5c`, `x5u`, `crit` and `b64` are refused. Every refusal looks the same outside; its reason goes to the log.
"""

import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from api.key_sets import KeySet, VerificationKey, reader_of
from runtime.logging import get_logger
from runtime.settings import IssuerSettings
from schemas.tenants import is_tenant_id

log = get_logger(__name__)

LEEWAY_SECONDS = 30
CACHE_SECONDS = 60.0
_CACHE_TOKENS = 10_000
_LONGEST_TOKEN = 8192
_LATEST_TIME = 253_402_300_799  # the last second of the year 9999
_FORBIDDEN_HEADERS = ("jku", "jwk", "x5c", "x5u", "x5t", "crit", "b64", "zip", "enc")
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_USER = re.compile(r"[^\x00-\x1f\x7f|]{1,200}")


@dataclass(frozen=True, slots=True)
class Principal:
    """What a verified token says. Nothing else in a request names a tenant, a user or a role."""

    tenant_id: str
    user_id: str
    roles: frozenset[str]


class TokenRefused(Exception):
    """The token proves nothing; the message is a fixed word for the log."""


class Verifier:
    """Verifies tokens of the configured issuers; remembers verified ones by hash for at most a minute."""

    def __init__(
        self,
        issuers: Sequence[IssuerSettings],
        key_sets: Mapping[str, KeySet] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._key_sets = key_sets or {i.issuer: KeySet(reader_of(i.jwks), i.algorithms) for i in issuers}
        self._clock = clock
        self._verified: dict[bytes, tuple[Principal, float]] = {}

    async def verify(self, token: str) -> Principal | None:
        """The principal, or None when the token proves nothing. Raises TransientError while keys cannot be read."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        known = self._verified.get(digest)
        if known is not None and self._clock() < known[1]:
            return known[0]
        try:
            claims, issuer = await self._claims(token)
            principal = _principal(claims, issuer)
        except TokenRefused as refusal:
            log.info("token refused", reason=str(refusal))
            return None
        self._remember(digest, principal, float(claims["exp"]))
        return principal

    async def ready(self) -> bool:
        """Whether every issuer's keys are at hand."""
        return bool(self._key_sets) and all([await keys.ready() for keys in self._key_sets.values()])

    async def _claims(self, token: str) -> tuple[Mapping[str, Any], IssuerSettings]:
        if len(token) > _LONGEST_TOKEN or not _TOKEN.fullmatch(token):
            raise TokenRefused("malformed")
        header, unverified = _peek(token)
        issuer = self._issuers.get(unverified["iss"]) if isinstance(unverified.get("iss"), str) else None
        if issuer is None:
            raise TokenRefused("unknown issuer")
        key = await self._key(issuer, header)
        return _verified_claims(token, key, header["alg"], issuer, self._clock()), issuer

    async def _key(self, issuer: IssuerSettings, header: Mapping[str, Any]) -> VerificationKey:
        if any(name in header for name in _FORBIDDEN_HEADERS):
            raise TokenRefused("forbidden header")
        if str(header.get("typ", "JWT")).lower() not in ("jwt", "at+jwt"):
            raise TokenRefused("not an access token")
        if header.get("alg") not in issuer.algorithms:
            raise TokenRefused("algorithm not pinned")
        kid = header.get("kid")
        key = await self._key_sets[issuer.issuer].find(kid) if isinstance(kid, str) else None
        if key is None:
            raise TokenRefused("unknown key")
        if header["alg"] not in key.algorithms:
            raise TokenRefused("algorithm does not fit the key")
        return key

    def _remember(self, digest: bytes, principal: Principal, expires_at: float) -> None:
        if len(self._verified) >= _CACHE_TOKENS:
            # Insertion order is age: the older half goes, without a walk per request.
            self._verified = dict(list(self._verified.items())[_CACHE_TOKENS // 2 :])
        self._verified[digest] = (principal, min(expires_at, self._clock() + CACHE_SECONDS))


def bearer_token(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The token of exactly one Authorization header with the Bearer scheme."""
    given = [value for name, value in headers if name == b"authorization"]
    if len(given) != 1 or given[0][:7].lower() != b"bearer ":
        return None
    return given[0][7:].strip(b" ").decode("latin-1")


_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError, AttributeError, KeyError)


def _peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims before any proof: only to look up the issuer and its key."""
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except _UNREADABLE:
        raise TokenRefused("unreadable") from None
    return parts["header"], parts["payload"]


def _verified_claims(token: str, key: VerificationKey, algorithm: str, issuer: IssuerSettings, now: float) -> Mapping[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            # Times are checked below against the verifier's clock, and stricter: PyJWT takes "1e3" and true for times.
            options={
                "require": ["iss", "aud", "exp", "sub"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.InvalidSignatureError:
        raise TokenRefused("signature") from None
    except jwt.PyJWTError as error:
        raise TokenRefused(type(error).__name__) from None
    except _UNREADABLE:
        raise TokenRefused("unreadable") from None
    _check_times(claims, now)
    return claims


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST_TIME:
            raise TokenRefused("malformed time")
    if claims["exp"] <= now - LEEWAY_SECONDS:
        raise TokenRefused("expired")
    if max(claims.get("nbf", 0), claims.get("iat", 0)) > now + LEEWAY_SECONDS:
        raise TokenRefused("not yet valid")


def _principal(claims: Mapping[str, Any], issuer: IssuerSettings) -> Principal:
    tenant, user, roles = claims.get(issuer.tenant_claim), claims.get("sub"), claims.get(issuer.roles_claim, [])
    if not (isinstance(tenant, str) and is_tenant_id(tenant)):
        raise TokenRefused("no tenant")
    if not (isinstance(user, str) and _USER.fullmatch(user)):
        raise TokenRefused("no user")
    if not (isinstance(roles, list) and len(roles) <= 100 and all(isinstance(role, str) for role in roles)):
        raise TokenRefused("malformed roles")
    return Principal(tenant, user, frozenset(roles))
