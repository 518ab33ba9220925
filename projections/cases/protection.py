"""Column values under the subject's key: what `sensitivity: encrypt` puts into a plain table, and how it is opened again.

    magic(4) | data key id(16) | nonce(12) | ciphertext and tag(16)

AES-256-GCM under a key derived from the subject's data key. The nonce is an HMAC of place and value: the same snapshot gives
the same bytes, so a rebuilt table equals the live one, and equal nonces mean equal values at the same place. Associated
data: tenant, subject, case, version, column, key id, so no value opens anywhere else. A destroyed key takes them all with it.
"""

import hashlib
import hmac
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.errors import DecryptionFailed

_MAGIC = b"CSc\x01"
_KEY_ID, _NONCE, _CIPHERTEXT = 4, 20, 32
_INFO = b"casestream column 1: key and nonce"


class ColumnSeal:
    """A `Sealer` for the snapshot at hand: `under` names the data key before its rows are made."""

    def __init__(self) -> None:
        self._key_id, self._secret = UUID(int=0), b""

    def under(self, key_id: UUID, secret: bytes) -> None:
        """From here on values are sealed under this key."""
        self._key_id, self._secret = key_id, secret

    def let_go(self) -> None:
        """A subject may be shredded before the next one's rows are made: its key must not be held until then."""
        self._secret = b""

    def __call__(self, tenant: str, subject: str, case_id: str, version: int, column: str, plain: bytes) -> bytes:
        derived, place = _derived(self._secret), _place(self._key_id, tenant, subject, case_id, version, column)
        nonce = hmac.digest(derived[32:], len(place).to_bytes(4, "big") + place + plain, "sha256")[:12]
        return _MAGIC + self._key_id.bytes + nonce + AESGCM(derived[:32]).encrypt(nonce, plain, place)


def key_id_of_column(sealed: bytes) -> UUID:
    """Which data key opens the value. Raises DecryptionFailed when it is none of ours."""
    if len(sealed) < _CIPHERTEXT + 16 or not sealed.startswith(_MAGIC):
        raise DecryptionFailed("the column's value cannot be opened")
    return UUID(bytes=sealed[_KEY_ID:_NONCE])


def open_column(secret: bytes, sealed: bytes, tenant: str, subject: str, case_id: str, version: int, column: str) -> bytes:
    """The value's canonical text, or DecryptionFailed with one text for every cause."""
    place = _place(key_id_of_column(sealed), tenant, subject, case_id, version, column)
    try:
        return AESGCM(_derived(secret)[:32]).decrypt(sealed[_NONCE:_CIPHERTEXT], sealed[_CIPHERTEXT:], place)
    except InvalidTag:
        raise DecryptionFailed("the column's value cannot be opened") from None


def _derived(secret: bytes) -> bytes:
    return hmac.digest(secret, _INFO, hashlib.sha512)


def _place(key_id: UUID, tenant: str, subject: str, case_id: str, version: int, column: str) -> bytes:
    return orjson.dumps([tenant, subject, case_id, version, column, key_id.hex])
