"""Format v1 of an encrypted snapshot: self-describing, bound to its place, committed to its key. Pure: no I/O, no random.

    magic(4) | version(1) | suite(1) | data key id(16) | salt(32) | commitment(32) | nonce(12) | ciphertext and tag(16)

Suite 1. HKDF-SHA512 (RFC 5869) over the subject's data key with the message's own salt gives 64 bytes: an AES-256 key for
this one message and the commitment. AES-256-GCM encrypts; its associated data are the first 22 bytes (format, suite, key
id) and the context as a JSON array, so that a snapshot opens only where it was sealed: same tenant, class, case, version,
subject and key. Plain GCM lets one ciphertext open under two keys; the commitment, compared first and in constant time,
does not. The header names the data key and holds no key, wrapped or not.

Never does: look up keys, say why an opening failed. Every failure is DecryptionFailed with one text.
"""

import hashlib
from functools import lru_cache
from hmac import compare_digest
from typing import NamedTuple
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.errors import DecryptionFailed

KEY_BYTES = SALT_BYTES = 32
NONCE_BYTES = 12
OVERHEAD_BYTES = 114

_FORMAT = b"CSnp\x01\x01"  # magic, format version, suite
_INFO = b"casestream snapshot 1.1: key and commitment"
_REFUSAL = "the snapshot cannot be opened: it is damaged, of another place, or its key is not the one it was sealed with"

# Where the parts begin.
_KEY_ID, _SALT, _COMMITMENT, _NONCE, _CIPHERTEXT = 6, 22, 54, 86, 98
_LONG = 16_384


class Context(NamedTuple):
    """Where a snapshot belongs: what the associated data binds it to."""

    tenant: str
    class_name: str
    case_id: str
    version: int
    subject: str
    key_id: UUID


def seal(key: bytes, context: Context, document: bytes, *, salt: bytes, nonce: bytes) -> bytes:
    """The document encrypted for its place. `salt` (32) and `nonce` (12) are fresh random bytes of the caller's.

    Raises ValueError for a key, salt or nonce of another length: a bug of the caller, told without their values.
    """
    if (len(key), len(salt), len(nonce)) != (KEY_BYTES, SALT_BYTES, NONCE_BYTES):
        raise ValueError(f"expected key, salt and nonce of {KEY_BYTES}, {SALT_BYTES} and {NONCE_BYTES} bytes")
    head = _FORMAT + context.key_id.bytes
    derived = _derive(key, salt)
    ciphertext = AESGCM(derived[:32]).encrypt(nonce, document, head + _place(context))
    return b"".join((head, salt, derived[32:], nonce, ciphertext))


def open_sealed(key: bytes, context: Context, sealed: bytes) -> bytes:
    """The document, or DecryptionFailed with the one text: another place, another key, any changed or missing byte."""
    head = _FORMAT + context.key_id.bytes
    if len(sealed) < OVERHEAD_BYTES or len(key) != KEY_BYTES or sealed[:_SALT] != head:
        raise DecryptionFailed(_REFUSAL)
    derived = _derive(key, sealed[_SALT:_COMMITMENT])
    if not compare_digest(derived[32:], sealed[_COMMITMENT:_NONCE]):
        raise DecryptionFailed(_REFUSAL)
    # A view of what is long: its copy would cost more than its decryption.
    ciphertext = sealed[_CIPHERTEXT:] if len(sealed) < _LONG else memoryview(sealed)[_CIPHERTEXT:]
    try:
        return AESGCM(derived[:32]).decrypt(sealed[_NONCE:_CIPHERTEXT], ciphertext, head + _place(context))
    except (InvalidTag, TypeError):
        # TypeError: a place that no JSON text can name, so nothing was ever sealed for it.
        raise DecryptionFailed(_REFUSAL) from None


def key_id_of(sealed: bytes) -> UUID:
    """Which data key opens it. Raises DecryptionFailed when it is no snapshot of format v1."""
    if len(sealed) < OVERHEAD_BYTES or sealed[:_KEY_ID] != _FORMAT:
        raise DecryptionFailed(_REFUSAL)
    return _uuid(bytes(sealed[_KEY_ID:_SALT]))


@lru_cache(maxsize=8_192)
def _uuid(raw: bytes) -> UUID:
    # Whoever opens a snapshot asks twice, and a subject's snapshots name one key: making a UUID costs as much as a SHA-512.
    return UUID(bytes=raw)


def _place(context: Context) -> bytes:
    # Canonical: one array of four texts and an integer has one compact JSON form, and no separator can be forged.
    return orjson.dumps([context.tenant, context.class_name, context.case_id, context.version, context.subject])


# HMAC spelled out on the hash: hmac.digest() of the standard library costs half as much again per call, and each snapshot
# needs two. tests/unit/snapshots compares with RFC 5869 as the cryptography library has it.
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_INNER_REST, _OUTER_REST = b"\x36" * 96, b"\x5c" * 96
_INNER_HALF, _OUTER_HALF = b"\x36" * 64, b"\x5c" * 64
_BLOCK_1 = _INFO + b"\x01"
_sha512 = hashlib.sha512


def _derive(key: bytes, salt: bytes) -> bytes:
    """64 bytes: extract with the salt (32 bytes), then the first and only block of expand (RFC 5869, sections 2.2 and 2.3)."""
    # The data key is never part of another text: that would stay in memory when it is freed.
    extract = _sha512(salt.translate(_INNER) + _INNER_REST)
    extract.update(key)
    inner = extract.digest()
    pseudo_random_key = _sha512(salt.translate(_OUTER) + _OUTER_REST + inner).digest()
    inner = _sha512(pseudo_random_key.translate(_INNER) + _INNER_HALF + _BLOCK_1).digest()
    return _sha512(pseudo_random_key.translate(_OUTER) + _OUTER_HALF + inner).digest()
