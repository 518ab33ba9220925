"""The development's key that signs heads of the audit chain, made once per home."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from runtime.stack.home import Home, write_private


def ensure_audit_key(home: Home) -> Path:
    """The private key's file, with a fresh key when there is none."""
    path = home.audit_key
    if not path.exists():
        private = Ed25519PrivateKey.generate()
        write_private(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    return path
