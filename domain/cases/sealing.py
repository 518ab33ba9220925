"""Composed documents become sealed snapshots, and back: which key, which place. The only random bytes of cases are drawn here.

Order of every transaction that encrypts or decrypts, so that nothing waits for the keys database while it holds a lock of a
case, and a shred never waits behind a case:

    1. keys from the ring (it may ask the keys database; no lock of the main database is held for it). Doors let it fetch them
       before they begin, so that here it has them; one that left the ring in between is asked for again
    2. `hold_subjects`: the buckets' shared locks, then the ledger; what it calls shredded is refused, cached key or not
    3. the cases' head rows, in the order of (tenant, case)
    4. decide, seal (milliseconds), write, commit

A subject without a key after step 1 was shredded meanwhile: it is treated as step 2 treats it.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.cases.case import Case
from domain.cases.composing import Composed
from runtime.keys.ring import DataKey, KeyPlace, Subject
from runtime.snapshots import NONCE_BYTES, SALT_BYTES, Context, key_id_of, open_sealed, seal
from schemas.errors import DecryptionFailed


class Keys(Protocol):
    """What cases need of the key ring."""

    async def current(self, subjects: Sequence[Subject]) -> dict[Subject, DataKey]: ...

    async def secrets(self, wanted: Sequence[KeyPlace]) -> dict[UUID, bytes]: ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """A decided version with its snapshot in format v1; None for a removal."""

    composed: Composed
    snapshot: bytes | None

    @property
    def case(self) -> Case:
        return self.composed.decided.after


def seal_document(composed: Composed, keys: Mapping[Subject, DataKey]) -> Sealed:
    """Encrypt for the version's own place, with a salt and a nonce that no other message ever has (trap 84)."""
    if composed.document is None:
        return Sealed(composed, None)
    case = composed.decided.after
    key = keys[case.tenant_id, case.subject_id]
    context = Context(case.tenant_id, case.class_name, case.case_id, case.version, case.subject_id, key.key_id)
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    return Sealed(composed, seal(key.secret, context, composed.document, salt=salt, nonce=nonce))


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """A row of the store, as reading needs it."""

    tenant_id: str
    case_id: str
    class_name: str
    subject_id: str
    version: int
    snapshot: bytes

    @property
    def key_place(self) -> KeyPlace:
        """Whose key opens it, by the header's word. Raises DecryptionFailed."""
        return (self.tenant_id, self.subject_id, key_id_of(self.snapshot))


def open_document(stored: StoredSnapshot, secrets: Mapping[UUID, bytes]) -> bytes:
    """The document. Raises DecryptionFailed: a key that is gone, and everything that `open_sealed` refuses."""
    key_id = stored.key_place[2]
    secret = secrets.get(key_id)
    if secret is None:
        raise DecryptionFailed("the snapshot's data key is unknown or destroyed")
    place = Context(stored.tenant_id, stored.class_name, stored.case_id, stored.version, stored.subject_id, key_id)
    return open_sealed(secret, place, stored.snapshot)
