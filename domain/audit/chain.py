"""The audit log's chain, pure: each entry's hash covers the one before, its position and every word of the entry.

    hash(0) = SHA-256("casestream audit chain 1" || 0 || tenant)
    hash(n) = SHA-256(hash(n - 1) || n as 8 bytes || canonical JSON of entry n)

Canonical JSON is one array of texts and nulls (RFC 8785 has no choice left for it): tenant, id, time in UTC with
microseconds, actor, action, object type, object id, reason, and the detail as PostgreSQL writes jsonb. A chain alone shows
edits; whoever may rewrite all of it, or cut its end, is shown by the signed heads that left the database.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import orjson

from schemas.instants import format_time

# The chain of deeds that belong to no tenant, where a name is needed.
NO_TENANT = "-"


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of audit_log. `detail` is the text of its jsonb."""

    tenant_id: str
    audit_id: str
    at: datetime
    actor: str
    action: str
    object_type: str
    object_id: str
    reason: str | None
    detail: str

    def canonical(self) -> bytes:
        """The entry's one JSON text."""
        parts = (self.actor, self.action, self.object_type, self.object_id, self.reason, self.detail)
        return orjson.dumps([self.tenant_id, self.audit_id, format_time(self.at), *parts])


@dataclass(frozen=True, slots=True)
class Link:
    """An entry's place in the chain."""

    position: int
    audit_id: str
    hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """What is signed: the first `length` entries of the tenant's chain hash to `head`."""

    tenant_id: str
    length: int
    head: bytes
    signed_at: datetime

    @property
    def chain(self) -> str:
        return self.tenant_id or NO_TENANT

    def message(self) -> bytes:
        """The bytes under the signature."""
        said = [self.chain, str(self.length), self.head.hex(), format_time(self.signed_at)]
        return b"casestream audit head 1\x00" + orjson.dumps(said)


def genesis(tenant_id: str) -> bytes:
    """What stands before a chain's first entry: no two tenants' chains begin alike."""
    return hashlib.sha256(b"casestream audit chain 1\x00" + tenant_id.encode()).digest()


def hash_of(before: bytes, position: int, entry: Entry) -> bytes:
    """The hash of an entry at its position, behind the hash of the one before."""
    return hashlib.sha256(before + position.to_bytes(8, "big") + entry.canonical()).digest()


def linked(before: bytes, length: int, entries: Iterable[Entry]) -> Iterator[Link]:
    """Links of these entries behind a chain of `length` that ends in `before`."""
    for position, entry in enumerate(entries, start=length + 1):
        before = hash_of(before, position, entry)
        yield Link(position, entry.audit_id, before)
