"""What persons said, sealed under their keys and opened again: in events, in cases, in what handlers gave.

Every text is bound to its place (tenant, kind of place, id, number, subject), so that none can be moved to another one. A
subject is the user whose journey it is. Who seals or opens in a transaction holds the subjects first (domain/keys/guard.py).
"""

import os
from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

import orjson

from runtime.keys.ring import DataKey, KeyPlace, Subject
from runtime.snapshots import NONCE_BYTES, SALT_BYTES, Context, key_id_of, open_sealed, seal
from schemas.errors import DecryptionFailed

# Kinds of places.
EVENT, CASE, RESULT = "workflow_event", "flw_case", "step_result"


class Keys(Protocol):
    """What onboarding needs of the key ring."""

    async def current(self, subjects: Any) -> dict[Subject, DataKey]: ...

    async def secrets(self, wanted: Any) -> dict[UUID, bytes]: ...


def seal_words(key: DataKey, subject: Subject, kind: str, place: str, number: int, words: object) -> bytes:
    """Words as JSON, sealed for their place."""
    context = Context(subject[0], kind, place, number, subject[1], key.key_id)
    return seal(key.secret, context, orjson.dumps(words), salt=os.urandom(SALT_BYTES), nonce=os.urandom(NONCE_BYTES))


def key_place(subject: Subject, sealed: bytes) -> KeyPlace:
    """Whose key opens it. Raises DecryptionFailed."""
    return (*subject, key_id_of(sealed))


def open_words(secrets: Mapping[UUID, bytes], subject: Subject, kind: str, place: str, number: int, sealed: bytes) -> Any:
    """The words. Raises DecryptionFailed: another place, or a key that is gone."""
    key_id = key_id_of(sealed)
    secret = secrets.get(key_id)
    if secret is None:
        raise DecryptionFailed("the key of what a person said is unknown or destroyed")
    return orjson.loads(open_sealed(secret, Context(subject[0], kind, place, number, subject[1], key_id), sealed))
