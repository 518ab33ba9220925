"""The one service through which cases change and are read, as the HTTP door and other subjects call it: one case at a time.

Each function takes a connection inside the caller's transaction and never begins, commits or retries. The order of locks
and keys is that of `sealing`. A caller whose transaction others wait for, and every door, lets the ring fetch its keys
before it begins (`warm_key`, `find_key`): then nothing here waits for the keys database. The Kafka door uses `batch`,
which shares decisions, sealing, store and events.

A background job stores as a named system user (`system_caller`): S4 asks for lastUpdateUserId, and a job has no login.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from domain import audit
from domain.cases import reads, refusals
from domain.cases.case import Case
from domain.cases.composing import compose, names_in
from domain.cases.decisions import (
    MAY_READ,
    MAY_STORE,
    Circumstances,
    Decided,
    Outcome,
    decide_remove,
    decide_store,
)
from domain.cases.known_classes import KnownClasses
from domain.cases.publishing import told
from domain.cases.sealing import Keys, StoredSnapshot, open_document, seal_document
from domain.cases.store import Found, find_subjects, lock_cases, write_versions
from domain.keys.guard import hold_subjects
from domain.outbox import Outbox
from runtime.keys.ring import DataKey, KeyPlace
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.cases import RemoveCase, StoreSnapshot
from schemas.errors import ConcurrencyConflict, DecryptionFailed, Rejected


@dataclass(frozen=True, slots=True)
class Document:
    """A decrypted version. `text` is the JSON that was sealed, byte for byte."""

    case: Case
    version: int
    text: bytes


def system_caller(tenant_id: str, job: str) -> Caller:
    """The identity of a background job (trap 90): `system:<job>` stands in the audit fields."""
    return Caller(tenant_id, f"system:{job}", frozenset({"engine"}), "WORKFLOW_ENGINE", internal=True)


async def warm_key(
    keys: Keys, caller: Caller, command: StoreSnapshot, known_classes: KnownClasses, names: Collection[str] | Rejected
) -> None:
    """Let the ring fetch or make the key that `store_snapshot` will ask for, before there is a transaction that waits."""
    if _storable(caller, command, names, known_classes):
        await keys.current([(caller.tenant_id, command.subject_id)])


async def store_snapshot(
    conn: Connection,
    outbox: Outbox,
    keys: Keys,
    caller: Caller,
    command: StoreSnapshot,
    known_classes: KnownClasses,
    names: Collection[str] | Rejected | None = None,
) -> Outcome:
    """Append the next version of a case (UC-01), with its event, both in this transaction.

    `names`: what `names_in` says of the variables, if the caller has asked; a long text takes a while.
    """
    variables = names_in(command.variables) if names is None else names
    subject = (caller.tenant_id, command.subject_id)
    storable = _storable(caller, command, variables, known_classes)
    key = (await keys.current([subject])).get(subject) if storable else None
    erased = bool(await hold_subjects(conn, [subject])) or (storable and key is None)

    async def decide() -> Outcome:
        found = await _lock(conn, caller, command.case_id)
        known = Circumstances(found.tenant_active, erased, known_classes.get(command.class_name), variables)
        outcome = decide_store(found.case, command, caller, found.now, known)
        return await _write(conn, outbox, key, outcome)

    try:
        return await decide()
    except ConcurrencyConflict:
        # Only a new case can be taken while heads are locked, and the insert left the other's alone.
        return await decide()


async def remove_case(conn: Connection, outbox: Outbox, caller: Caller, command: RemoveCase) -> Outcome:
    """Append a removal: a version without snapshot. It encrypts nothing, so it needs no key."""
    case_key = (caller.tenant_id, command.case_id)
    subjects = await find_subjects(conn, [case_key])
    erased = await hold_subjects(conn, [(caller.tenant_id, subject) for subject in subjects.values()])
    found = await _lock(conn, caller, command.case_id)
    known = Circumstances(found.tenant_active, bool(erased))
    return await _write(conn, outbox, None, decide_remove(found.case, command, caller, found.now, known))


async def find_key(conn: Connection, caller: Caller, case_id: str, *, version: int | None = None) -> KeyPlace | None:
    """Whose key `read_case` will ask the ring for, so that it can be there before that transaction begins.

    None: no key is needed, and `read_case` says why.
    """
    if MAY_READ.isdisjoint(caller.roles):
        return None
    return await reads.get_key_place(conn, caller.tenant_id, case_id, version)


async def read_case(
    conn: Connection, keys: Keys, caller: Caller, case_id: str, *, version: int | None = None, reason: str
) -> Document | Rejected:
    """The decrypted latest or named version; who read it, and why, goes to the audit log in the same transaction.

    Raises NotFound: no such case or version, for a foreign tenant's case too.
    """
    if MAY_READ.isdisjoint(caller.roles):
        return refusals.denied("ReadCase")
    case = await reads.get_case(conn, caller.tenant_id, case_id)
    stored = await reads.get_snapshot(conn, caller.tenant_id, case_id, version)
    secrets = await _secrets_of(keys, stored)
    erased = await hold_subjects(conn, [(caller.tenant_id, case.subject_id)])
    shown = version or case.version
    await _record_reading(conn, caller, case, shown, reason)
    if erased:
        return refusals.erased()
    if stored is None:
        return refusals.removed(case)
    try:
        return Document(case, stored.version, open_document(stored, secrets))
    except DecryptionFailed:
        return refusals.unreadable()


def _storable(
    caller: Caller, command: StoreSnapshot, variables: Collection[str] | Rejected, known_classes: KnownClasses
) -> bool:
    # What can never be stored makes no key.
    allowed = not MAY_STORE.isdisjoint(caller.roles) and command.class_name in known_classes
    return allowed and not isinstance(variables, Rejected)


async def _lock(conn: Connection, caller: Caller, case_id: str) -> Found:
    key = (caller.tenant_id, case_id)
    return (await lock_cases(conn, [key]))[key]


async def _write(conn: Connection, outbox: Outbox, key: DataKey | None, outcome: Outcome) -> Outcome:
    if not isinstance(outcome, Decided):
        return outcome
    composed = compose(outcome)
    if isinstance(composed, Rejected):
        return composed
    subject = (outcome.after.tenant_id, outcome.after.subject_id)
    sealed = seal_document(composed, {subject: key} if key else {})
    await write_versions(conn, [sealed])
    await outbox.append(conn, [told(sealed)])
    return outcome


async def _secrets_of(keys: Keys, stored: StoredSnapshot | None) -> dict[UUID, bytes]:
    try:
        return await keys.secrets([stored.key_place]) if stored else {}
    except DecryptionFailed:
        # Its bytes are no snapshot. That is said where one that does not open is, after who asked is recorded.
        return {}


async def _record_reading(conn: Connection, caller: Caller, case: Case, version: int, reason: str) -> None:
    await audit.append(
        conn,
        tenant_id=caller.tenant_id,
        actor=caller.user_id,
        action="case.read",
        object_type="case",
        object_id=case.case_id,
        reason=reason,
        detail={"version": version, "subject": case.subject_id},
    )
