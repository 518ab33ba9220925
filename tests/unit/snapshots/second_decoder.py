"""Snapshot format v1 decoded a second time, from its description alone: it shares no line with runtime/snapshots.py.

HKDF from the standard library's HMAC; GCM from single AES blocks, counter mode and GHASH of our own. Slow and plain.
"""

import hmac
import json

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def decode(sealed: bytes, key: bytes, tenant: str, class_name: str, case_id: str, version: int, subject: str) -> bytes:
    """The document. Raises ValueError that says what is wrong."""
    magic, salt, commitment, nonce = sealed[:6], sealed[22:54], sealed[54:86], sealed[86:98]
    if magic != b"CSnp\x01\x01":
        raise ValueError("no snapshot of format 1, suite 1")
    derived = hkdf_sha512(key, salt, b"casestream snapshot 1.1: key and commitment", 64)
    if derived[32:] != commitment:
        raise ValueError("sealed with another key")
    place = json.dumps([tenant, class_name, case_id, version, subject], separators=(",", ":"), ensure_ascii=False)
    return gcm_open(derived[:32], nonce, sealed[98:-16], sealed[-16:], sealed[:22] + place.encode())


def hkdf_sha512(key: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869."""
    pseudo_random_key = hmac.digest(salt or bytes(64), key, "sha512")
    output = block = b""
    number = 0
    while len(output) < length:
        number += 1
        block = hmac.digest(pseudo_random_key, block + info + bytes([number]), "sha512")
        output += block
    return output[:length]


def gcm_open(key: bytes, nonce: bytes, ciphertext: bytes, tag: bytes, associated: bytes) -> bytes:
    """NIST SP 800-38D, section 7.2, for nonces of 96 bits."""
    if gcm_tag(key, nonce, ciphertext, associated) != tag:
        raise ValueError("the tag is wrong")
    stream = b"".join(aes(key, nonce + number.to_bytes(4, "big")) for number in range(2, 3 + len(ciphertext) // 16))
    return bytes(a ^ b for a, b in zip(ciphertext, stream, strict=False))


def gcm_tag(key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
    hash_key = int.from_bytes(aes(key, bytes(16)), "big")
    lengths = (len(associated) * 8).to_bytes(8, "big") + (len(ciphertext) * 8).to_bytes(8, "big")
    state = 0
    for part in (associated, ciphertext, lengths):
        for start in range(0, len(part), 16):
            state = times(state ^ int.from_bytes(part[start : start + 16].ljust(16, b"\0"), "big"), hash_key)
    mask = int.from_bytes(aes(key, nonce + b"\0\0\0\1"), "big")
    return (state ^ mask).to_bytes(16, "big")


def aes(key: bytes, block: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)  # noqa: S305 - the block cipher itself


def times(left: int, right: int) -> int:
    """Multiplication in GF(2^128) with GCM's order of bits (SP 800-38D, section 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if right >> bit & 1:
            product ^= left
        left = left >> 1 ^ (0xE1 << 120 if left & 1 else 0)
    return product
