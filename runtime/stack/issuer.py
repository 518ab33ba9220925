"""The development token issuer: a key pair and its JWKS in the stack's home, for tokens that `casestream token` makes.

Never an identity provider: it knows no users and signs what it is given. The private key is readable by its owner only
and never leaves the home.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from runtime.stack.home import Home, default_home, write_private
from runtime.stack.parts import MissingPart
from runtime.stack.state import DEVELOPMENT_AUDIENCE, DEVELOPMENT_ISSUER

ALGORITHM = "RS256"
DEFAULT_LIFETIME_SECONDS = 12 * 3600


@dataclass(frozen=True, slots=True)
class Issuer:
    """The files of one issuer and the id of its key."""

    private_key: Path
    jwks: Path
    key_id: str


def create_issuer(home: Home) -> Issuer:
    """The issuer of this home; makes its key pair and JWKS when they are not there. Twice is harmless."""
    private, jwks = home.issuer / "private.pem", home.issuer / "jwks.json"
    if not private.exists():
        write_private(private, _new_key())
        jwks.unlink(missing_ok=True)
    if not jwks.exists():
        jwks.write_text(json.dumps({"keys": [_public_jwk(private.read_text())]}, indent=1))
    return open_issuer(home)


def open_issuer(home: Home) -> Issuer:
    """The issuer that an earlier `create_issuer` made; MissingPart when there is none."""
    private, jwks = home.issuer / "private.pem", home.issuer / "jwks.json"
    if not (private.exists() and jwks.exists()):
        raise MissingPart(f"there is no development token issuer in {home.issuer}", "casestream up")
    return Issuer(private, jwks, json.loads(jwks.read_text())["keys"][0]["kid"])


def sign(claims: Mapping[str, Any], issuer: Issuer, lifetime_seconds: int = DEFAULT_LIFETIME_SECONDS) -> str:
    """A token with these claims; `iss`, `aud`, `iat` and `exp` are added where the claims do not set them."""
    now = int(time.time())
    standard = {"iss": DEVELOPMENT_ISSUER, "aud": DEVELOPMENT_AUDIENCE, "iat": now, "exp": now + lifetime_seconds}
    key = issuer.private_key.read_text()
    return jwt.encode({**standard, **claims}, key, algorithm=ALGORITHM, headers={"kid": issuer.key_id})


def _new_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode()


def _public_jwk(private_pem: str) -> dict[str, Any]:
    key = serialization.load_pem_private_key(private_pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise MissingPart("the development issuer's key is no RSA key", "remove the folder and run casestream up")
    public: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    # Named after its content, so that a new key never answers to an old name.
    key_id = hashlib.sha256(public["n"].encode()).hexdigest()[:16]
    return {"kty": public["kty"], "n": public["n"], "e": public["e"], "kid": key_id, "alg": ALGORITHM, "use": "sig"}


if __name__ == "__main__":
    # For docker-compose.yml, where there is no `casestream up`.
    create_issuer(default_home())
