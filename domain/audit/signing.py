"""Ed25519 keys of signed heads: one that signs, and those that are trusted. A key's id is the start of its public half's hash.

Keys are PEM files. The private one belongs to the chainer's process alone; whoever verifies needs the public ones only, and
keeps those that were replaced.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key, load_pem_public_key

from domain.audit.chain import Head
from runtime.settings import Settings
from schemas.errors import ConfigurationError

_BLOCK = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
TrustedKeys = Mapping[str, Ed25519PublicKey]


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head and who vouches for it."""

    head: Head
    key_id: str
    signature: bytes


class SigningKey:
    """The chainer's key."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.key_id = key_id_of(private.public_key())

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id})"

    def sign(self, head: Head) -> SignedHead:
        return SignedHead(head, self.key_id, self._private.sign(head.message()))

    @property
    def trusted(self) -> TrustedKeys:
        """Its own public half."""
        return {self.key_id: self._private.public_key()}


def is_genuine(signed: SignedHead, trusted: TrustedKeys) -> bool:
    """Whether a trusted key signed exactly this head."""
    public = trusted.get(signed.key_id)
    try:
        if public is not None:
            public.verify(signed.signature, signed.head.message())
    except InvalidSignature:
        return False
    return public is not None


def key_id_of(public: Ed25519PublicKey) -> str:
    return hashlib.sha256(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def signing_key_file(settings: Settings) -> Path:
    """Where the private key is."""
    return settings.audit.signing_key_file or settings.home / "audit" / "signing.pem"


def trusted_keys(settings: Settings) -> TrustedKeys:
    """The public keys whose signatures count. Raises ConfigurationError."""
    named = settings.audit.trusted_keys_file
    return read_trusted_keys(named) if named else read_signing_key(signing_key_file(settings)).trusted


def read_signing_key(path: Path) -> SigningKey:
    """The key of a PEM file. Raises ConfigurationError: no file, no Ed25519 key."""
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError([f"{path}: no key to sign audit heads with ({type(error).__name__}); {_CURE}"]) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigurationError([f"{path}: expected an Ed25519 key; {_CURE}"])
    return SigningKey(private)


def read_trusted_keys(path: Path) -> dict[str, Ed25519PublicKey]:
    """Every public key of a PEM file. Raises ConfigurationError: no file, none in it, not Ed25519."""
    try:
        blocks = _BLOCK.findall(path.read_bytes())
        keys = [load_pem_public_key(block) for block in blocks]
    except (OSError, ValueError) as error:
        raise ConfigurationError([f"{path}: its public keys cannot be read ({type(error).__name__})"]) from error
    found = {key_id_of(key): key for key in keys if isinstance(key, Ed25519PublicKey)}
    if not found:
        raise ConfigurationError([f"{path}: expected PUBLIC KEY blocks of Ed25519 keys"])
    return found


_CURE = "make one with `openssl genpkey -algorithm ed25519`, or by `casestream up` on a developer's machine"
