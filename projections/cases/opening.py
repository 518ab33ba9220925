"""From stored snapshots to rows of one table version: hold their subjects, find their keys, decrypt, project.

The one way for live events and for a scan of the store, so both give the same rows (trap 84, trap 88). What cannot be opened
raises; a subject whose key was destroyed gives a tombstone. A key that is missing although no ledger names its subject is
neither: somebody must restore the keys database, and until then the snapshot is set aside, not forgotten.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

from domain.cases.documents import load_document
from domain.cases.mapping.tables import TableSpec
from domain.keys.guard import Subject, hold_subjects
from projections.cases.project import Envelope, Problem, Protection, compile_projection
from projections.cases.protection import ColumnSeal
from projections.cases.writing import CaseRow
from runtime.settings import Settings
from runtime.snapshots import Context, key_id_of, open_sealed
from runtime.sql import Connection
from schemas.errors import DataKeyMissing, DecryptionFailed


class Keys(Protocol):
    """What is asked of a key ring (runtime.keys.ring.KeyRing)."""

    async def secrets(self, wanted: list[tuple[str, str, UUID]]) -> dict[UUID, bytes]: ...

    def is_forgotten(self, tenant: str, subject: str) -> bool: ...


class Snapshot(NamedTuple):
    """A version of a case, as the topic or the store has it. A removal has nothing sealed."""

    tenant_id: str
    case_id: str
    class_name: str
    version: int
    subject_id: str
    sealed: bytes | None

    @property
    def subject(self) -> Subject:
        return self.tenant_id, self.subject_id


@dataclass(frozen=True, slots=True)
class Held:
    """What a transaction knows of the subjects that it holds: who is erased, and the keys of the others."""

    erased: frozenset[Subject]
    secrets: Mapping[UUID, bytes]


class Opener:
    """Opens snapshots for one table version. `hash_key`: of blind indexes; None refuses a spec that has them."""

    def __init__(self, spec: TableSpec, keys: Keys, hash_key: bytes | None) -> None:
        """Raises SpecRefused for a spec that lint would have refused, or that needs keys which are not there."""
        self._keys, self._seal = keys, ColumnSeal()
        # Only a table with blind indexes asks for their key; one that only seals columns does not wait for it.
        protection = None if hash_key is None and _hashes(spec) else Protection(hash_key or b"", self._seal)
        self._projection = compile_projection(spec, protection)
        self.classes = self._projection.classes

    async def warm(self, snapshots: Iterable[Snapshot]) -> None:
        """Let the ring fetch the keys that `hold` will ask for, before there is a transaction that waits."""
        await self._keys.secrets(
            [
                (tenant, subject, key_id)
                for tenant, subject, key_id in self._wanted(snapshots)
                if key_id is not None and not self._keys.is_forgotten(tenant, subject)
            ]
        )

    async def hold(self, conn: Connection, snapshots: Iterable[Snapshot]) -> Held:
        """Keep the subjects from being shredded until the transaction ends, then read ledger and keys, in this order.

        Who would wait for the keys in a transaction that others wait for calls `warm` before it begins.
        """
        wanted = self._wanted(snapshots)
        shredded = await hold_subjects(conn, list({(tenant, subject): None for tenant, subject, _ in wanted}))
        places = [
            (tenant, subject, key_id)
            for tenant, subject, key_id in wanted
            if key_id is not None and not (shredded and (tenant, subject) in shredded)
        ]
        secrets = await self._keys.secrets(places)
        gone = {(tenant, subject) for tenant, subject, key_id in places if key_id not in secrets}
        # The keys database names a subject a moment before the main ledger does.
        return Held(frozenset(shredded | {subject for subject in gone if self._keys.is_forgotten(*subject)}), secrets)

    def _wanted(self, snapshots: Iterable[Snapshot]) -> list[tuple[str, str, UUID | None]]:
        """Whose keys the snapshots of this table name, each once; None where the bytes name none."""
        return list({(*one.subject, _key_id(one)): None for one in snapshots if one.class_name in self.classes})

    def row(self, snapshot: Snapshot, held: Held) -> tuple[CaseRow, list[Problem]]:
        """Pure. Raises DecryptionFailed, DataKeyMissing, DocumentRefused."""
        tenant, case_id, class_name, version, subject, sealed = snapshot
        if held.erased and (tenant, subject) in held.erased:
            return CaseRow(tenant, case_id, version, subject, tombstone="erased"), []
        if sealed is None:
            return CaseRow(tenant, case_id, version, subject, tombstone="removed"), []
        key_id = key_id_of(sealed)
        secret = held.secrets.get(key_id)
        if secret is None:
            raise DataKeyMissing(
                f"data key {key_id} is not in the keys database and no ledger names its subject: restore it, then redrive"
            )
        document = load_document(open_sealed(secret, Context(tenant, class_name, case_id, version, subject, key_id), sealed))
        self._seal.under(key_id, secret)
        try:
            rows = self._projection.rows(document, Envelope(tenant, case_id, class_name, version, subject))
        finally:
            self._seal.let_go()
        return CaseRow(tenant, case_id, version, subject, rows.main, rows.children), rows.problems


def hash_key_of(settings: Settings) -> bytes | None:
    """The key of blind indexes from its setting. A developer's machine has one without being told."""
    secret = settings.keys.blind_index_key
    if secret is None and settings.environment != "development":
        return None
    text = secret.get_secret_value() if secret is not None else "development"
    return hashlib.sha256(b"casestream blind index 1" + text.encode()).digest()


def _key_id(snapshot: Snapshot) -> UUID | None:
    try:
        return None if snapshot.sealed is None else key_id_of(snapshot.sealed)
    except DecryptionFailed:
        return None


def _hashes(spec: TableSpec) -> bool:
    return any(column.sensitivity == "hash" for part in (spec.columns, *(c.columns for c in spec.children)) for column in part)
