"""A secret's value as bytes that open only in its place: the format of snapshots, with the secret's name and version.

The data key is one of the tenant's own, under a subject that no event can name, because a subject's id has no `|`. So keys are
rotated, wrapped anew and destroyed like every other, and destroying this one makes all secrets of the tenant unreadable.
"""

import os
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from runtime.keys.ring import DataKey, KeyPlace, Subject
from runtime.snapshots import NONCE_BYTES, SALT_BYTES, Context, key_id_of, open_sealed, seal

SUBJECT = "|tenant-secrets"
_CLASS = "tenant-secret"


class Keys(Protocol):
    """What secrets need of the key ring."""

    async def current(self, subjects: Sequence[Subject]) -> dict[Subject, DataKey]: ...

    async def secrets(self, wanted: Sequence[KeyPlace]) -> dict[UUID, bytes]: ...


def subject_of(tenant_id: str) -> Subject:
    return (tenant_id, SUBJECT)


def seal_value(key: DataKey, tenant_id: str, name: str, version: int, value: str) -> bytes:
    """The value encrypted for its place."""
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    return seal(key.secret, _place(tenant_id, name, version, key.key_id), value.encode(), salt=salt, nonce=nonce)


def key_place(tenant_id: str, sealed: bytes) -> KeyPlace:
    """Whose key opens it. Raises DecryptionFailed."""
    return (*subject_of(tenant_id), key_id_of(sealed))


def open_value(secret: bytes, tenant_id: str, name: str, version: int, sealed: bytes) -> str:
    """The value. Raises DecryptionFailed."""
    return open_sealed(secret, _place(tenant_id, name, version, key_id_of(sealed)), sealed).decode()


def _place(tenant_id: str, name: str, version: int, key_id: UUID) -> Context:
    return Context(tenant_id, _CLASS, name, version, SUBJECT, key_id)
