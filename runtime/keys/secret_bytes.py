"""The bytes of a data key: overwritten when the last one who holds them lets go, so that no freed memory keeps them.

What is derived from them, one key per message, and what they open are ordinary bytes: Python frees those without
overwriting them (docs/explanation/encryption-and-erasure.md says what that means).
"""

from pathlib import Path
from typing import cast


class SecretBytes(bytearray):
    """Used like bytes, and typed as such. Whoever needs a key for a moment makes no copy of it, least of all as bytes."""

    __slots__ = ()

    def __del__(self) -> None:
        self[:] = bytes(len(self))

    def __repr__(self) -> str:
        return f"SecretBytes({len(self)})"

    __str__ = __repr__


def fresh_secret(length: int) -> bytes:
    """Random bytes of the same source as os.urandom, which would leave a copy behind."""
    made = SecretBytes(length)
    with Path("/dev/urandom").open("rb", buffering=0) as source:
        if source.readinto(made) != length:
            raise OSError("the system's random source gave too few bytes")
    return cast(bytes, made)


def erasable(secret: bytes | bytearray) -> bytes:
    """The same secret, in bytes that are overwritten in the end."""
    return cast(bytes, secret if isinstance(secret, SecretBytes) else SecretBytes(secret))
