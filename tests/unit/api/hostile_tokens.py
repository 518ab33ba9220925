"""Tokens that must prove nothing: a name and a token each. Known attacks, wrong claims, and plain garbage."""

import base64
import hmac
import json
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives import serialization
from jwt.algorithms import RSAAlgorithm

from tests.unit.api.tokens import AUDIENCE, ED, ISSUER, NOW, OTHER_RSA, P256, P384, RSA, WEAK_RSA, b64, claims, token

_PEM = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
_DER = RSA.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def hostile_tokens() -> Iterator[tuple[str, str]]:
    """The whole corpus."""
    yield from _without_signature()
    yield from _confused_algorithms()
    yield from _headers_that_choose_the_key()
    yield from _wrong_claims()
    yield from _wrong_times()
    yield from _damaged()
    yield from _garbage()


def _without_signature() -> Iterator[tuple[str, str]]:
    for algorithm in ("none", "None", "NONE", "nOnE", "", "null"):
        unsigned = f"{b64({'alg': algorithm, 'typ': 'JWT', 'kid': 'rsa'})}.{b64(claims())}."
        yield f"alg {algorithm!r} and no signature", unsigned
        yield f"alg {algorithm!r} and a borrowed signature", unsigned + token().split(".")[2]
    good = token().split(".")
    yield "signature cut off", f"{good[0]}.{good[1]}."
    yield "signature left out", f"{good[0]}.{good[1]}"


def _hmac(secret: bytes, header: dict[str, Any], digest: str = "sha256") -> str:
    signed = f"{b64(header)}.{b64(claims())}"
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), digest).digest())}"


def _confused_algorithms() -> Iterator[tuple[str, str]]:
    for name, secret in (("PEM", _PEM), ("DER", _DER), ("PEM without newline", _PEM.strip())):
        for algorithm, digest in (("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")):
            yield f"{algorithm} over the public key as {name}", _hmac(secret, {"alg": algorithm, "kid": "rsa"}, digest)
    shared = b"a shared secret of thirty-two bytes"
    yield "HS256 with a shared key from the set", _hmac(shared, {"alg": "HS256", "kid": "oct"})
    yield "HS256 said to be RS256", _hmac(_PEM, {"alg": "RS256", "kid": "rsa"})
    yield "HS256 with an empty secret", _hmac(b"", {"alg": "HS256", "kid": "rsa"})
    yield "RS512, which is not pinned", token(algorithm="RS512")
    yield "PS256 with a key bound to RS256", token(algorithm="PS256", kid="rsa-only-256")
    yield "an EC token under an RSA key's id", token(P256, "ES256", "rsa")
    yield "an RSA token under an EC key's id", token(kid="p256")
    yield "an EC token under another curve's id", token(P256, "ES256", "p384")
    yield "an Ed25519 token under an RSA key's id", token(ED, "EdDSA", "rsa")
    yield "a P-384 token under a P-256 key's id", token(P384, "ES384", "p256")
    yield "a key of 1024 bits", token(WEAK_RSA, kid="weak")
    yield "a key for encryption", token(OTHER_RSA, kid="encrypts")


def _headers_that_choose_the_key() -> Iterator[tuple[str, str]]:
    own = {**RSAAlgorithm.to_jwk(OTHER_RSA.public_key(), as_dict=True), "kid": "mine"}
    own.pop("key_ops", None)
    yield "own key in jwk", token(OTHER_RSA, kid="mine", header={"jwk": own})
    yield "own key in jwk under a known id", token(OTHER_RSA, kid="rsa", header={"jwk": own})
    yield "jku", token(OTHER_RSA, kid="mine", header={"jku": "https://evil.test/jwks.json"})
    yield "jku on a good token", token(header={"jku": f"{ISSUER}/jwks.json"})
    yield "x5u", token(OTHER_RSA, header={"x5u": "https://evil.test/chain.pem"})
    yield "x5c", token(OTHER_RSA, header={"x5c": [base64.b64encode(_DER).decode()]})
    yield "crit on a good token", token(header={"crit": ["exp"], "exp": int(NOW) + 60})
    yield "unknown crit", token(header={"crit": ["urn:evil"], "urn:evil": True})
    yield "b64", _raw({"alg": "RS256", "kid": "rsa", "b64": True})
    yield "unencoded payload", _raw({"alg": "RS256", "kid": "rsa", "b64": False, "crit": ["b64"]})
    yield "an unknown kid", token(kid="nobody")
    yield "no kid", token(kid=None)
    for kid in ("../../../dev/null", "' or '1'='1", "rsa\x00", "https://evil.test/key", "/etc/passwd", "", "k" * 5000):
        yield f"kid {kid[:24]!r}", token(OTHER_RSA, kid=kid)
    yield "kid that is a list", _raw({"alg": "RS256", "kid": ["rsa"]})
    yield "kid that is an object", _raw({"alg": "RS256", "kid": {"$ne": None}})
    yield "an id token's type", token(header={"typ": "id+jwt"})
    yield "a logout token's type", token(header={"typ": "logout+jwt"})


def _wrong_claims() -> Iterator[tuple[str, str]]:
    for issuer in (
        None,
        "",
        "https://issuer.test/",
        "HTTPS://ISSUER.TEST",
        "https://issuer.test.evil.test",
        ["https://issuer.test"],
        7,
    ):
        yield f"iss {issuer!r}", _signed(iss=issuer)
    for audience in (None, "", "casestream-admin", "CASESTREAM", [], ["other"], {"aud": AUDIENCE}, 7):
        yield f"aud {audience!r}", _signed(aud=audience)
    for subject in (None, "", 7, ["an"], "a|b", "a\x00", "u" * 500):
        yield f"sub {str(subject)[:12]!r}", _signed(sub=subject)
    for tenant in (None, "", 7, ["north"], "north'; drop table tenants; --", "../south", "north south", "n" * 65, "\u043forth"):
        yield f"tenant {str(tenant)[:12]!r}", _signed(tenant=tenant)
    for roles in ("admin", {"admin": True}, [7], [["admin"]], 7, True):
        yield f"roles {roles!r}", _signed(roles=roles)


def _wrong_times() -> Iterator[tuple[str, str]]:
    now = int(NOW)
    for expiry in (None, now - 31, 0, -1, "soon", str(now + 60), True, [now + 60], 10**400, 1e400, float("nan")):
        yield f"exp {str(expiry)[:14]}", _signed(exp=expiry)
    for start in (now + 31, "now", 10**400, False, float("nan")):
        yield f"nbf {str(start)[:14]}", _signed(nbf=start)
    yield "iat in the future", _signed(iat=now + 3600)


def _damaged() -> Iterator[tuple[str, str]]:
    header, payload, signature = token().split(".")
    yield "another payload under a good signature", f"{header}.{b64(claims(tenant='south'))}.{signature}"
    yield "another header under a good signature", f"{b64({'alg': 'RS256', 'kid': 'rsa', 'x': 1})}.{payload}.{signature}"
    flipped = bytearray(base64.urlsafe_b64decode(signature + "=="))
    flipped[0] ^= 1
    yield "one bit of the signature flipped", f"{header}.{payload}.{b64(bytes(flipped))}"
    yield "signed by another key", token(OTHER_RSA)
    yield "a zero ECDSA signature", f"{b64({'alg': 'ES256', 'kid': 'p256'})}.{b64(claims())}.{b64(bytes(64))}"
    yield "five parts", f"{header}.{payload}.{signature}.x.y"
    yield "padding", f"{header}=.{payload}.{signature}"
    yield "spaces", f"{header} .{payload}.{signature}"
    yield "a newline", f"{header}.{payload}.{signature}\n"
    yield "not ASCII", f"{header}.{payload}.{signature}\u00e9"


def _garbage() -> Iterator[tuple[str, str]]:
    for text in ("", ".", "..", "a.b.c", "null", "{}", "eyJ.eyJ.x", "A" * 9000, "%00.%00.%00"):
        yield f"garbage {text[:12]!r}", text
    for header in ("null", "[]", '"x"', "7", "{", '{"alg":', "\ud7ff"):
        yield f"header {header!r}", f"{b64(header)}.{b64(claims())}.{b64('x')}"
    for payload in ("null", "[]", '"x"', "7", "{", "[" * 4000):
        yield f"payload {payload[:8]!r}", _raw({"alg": "RS256", "kid": "rsa"}, payload.encode())


def _signed(**changes: Any) -> str:
    """Signed by the right key although no library would make it."""
    return _raw({"alg": "RS256", "kid": "rsa"}, json.dumps(claims(**changes)).encode())


def _raw(header: dict[str, Any], payload: bytes | None = None) -> str:
    signed = f"{b64(header)}.{b64(payload if payload is not None else json.dumps(claims()).encode())}"
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(signed.encode(), RSA)
    return f"{signed}.{b64(signature)}"
