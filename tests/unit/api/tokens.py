"""An issuer for tests: keys of every kind, and a maker of tokens that can be wrong in any one way."""

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from api.auth import Verifier
from api.key_sets import KeySet
from runtime.settings import IssuerSettings

ISSUER, AUDIENCE = "https://issuer.test", "casestream"
NOW = 1_800_000_000.0

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
WEAK_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - refused, that is the test
P256, P384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()


def b64(content: bytes | Mapping[str, Any] | str) -> str:
    raw = (
        json.dumps(content).encode()
        if isinstance(content, Mapping)
        else content.encode()
        if isinstance(content, str)
        else content
    )
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def public_keys() -> dict[str, Any]:
    keys = [
        {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "rsa", "use": "sig"},
        {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "rsa-only-256", "alg": "RS256"},
        {**RSAAlgorithm.to_jwk(WEAK_RSA.public_key(), as_dict=True), "kid": "weak"},
        {**RSAAlgorithm.to_jwk(OTHER_RSA.public_key(), as_dict=True), "kid": "encrypts", "use": "enc"},
        {**ECAlgorithm.to_jwk(P256.public_key(), as_dict=True), "kid": "p256"},
        {**ECAlgorithm.to_jwk(P384.public_key(), as_dict=True), "kid": "p384"},
        {**OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True), "kid": "ed"},
        {"kty": "oct", "k": b64(b"a shared secret of thirty-two bytes"), "kid": "oct"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {"kty": "RSA", "n": "no-kid"},
    ]
    for key in keys:
        key.pop("key_ops", None)
    return {"keys": keys}


def settings(algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "ES384", "EdDSA")) -> IssuerSettings:
    return IssuerSettings.model_validate(
        {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": list(algorithms), "jwks": "/not/read/in/these/tests"}
    )


class Published:
    """A JWKS that can be changed, and counts how often it was read."""

    def __init__(self, document: Any = None) -> None:
        self.document = public_keys() if document is None else document
        self.reads = 0
        self.away = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def read(self) -> bytes:
        self.reads += 1
        if self.away:
            raise ConnectionRefusedError
        await self.answers.wait()
        return json.dumps(self.document).encode()


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """A verifier whose time and keys the test holds."""

    clock: Clock = field(default_factory=Clock)
    published: Published = field(default_factory=Published)

    def verifier(self, issuer: IssuerSettings | None = None) -> Verifier:
        issuer = issuer or settings()
        keys = KeySet(self.published.read, issuer.algorithms, self.clock)
        return Verifier([issuer], {issuer.issuer: keys}, self.clock)


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims with these changes; a value of None removes the claim."""
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "an",
        "tenant": "north",
        "roles": ["agent"],
        "iat": int(NOW),
        "exp": int(NOW) + 600,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def token(
    key: Any = RSA, algorithm: str = "RS256", kid: str | None = "rsa", header: Mapping[str, Any] | None = None, **changes: Any
) -> str:
    """A signed token; good unless told otherwise."""
    headers = {**({"kid": kid} if kid is not None else {}), **(header or {})}
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)
