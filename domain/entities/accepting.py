"""The publish door's command: upstreams' changes into the outbox, each once, in one order per entity.

An upstream's entity has no row of ours that a writer could lock, so the door takes a transaction lock on the key before it
inserts (DESIGN section 4): id order is commit order per key. Keys share buckets, because a batch with a lock for each would
fill PostgreSQL's table of locks; all of a batch's buckets are taken at once, in rising order, so no two batches deadlock.

An event is known by (tenant, source, id), and the source is the caller's own: nobody can take another's ids. The same id
with the same contents is a duplicate and changes nothing; with other contents it is refused.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from zlib import crc32

from domain.entities.kinds import find_kinds
from domain.entities.publishing import passed_on
from domain.keys.guard import hold_subjects
from domain.outbox import Outbox, record_key
from runtime.sql import Connection, load_queries
from schemas.caller import Caller
from schemas.entities import EntityChangeEvent, subject_of
from schemas.errors import Rejected
from schemas.registry import MAX_EVENT_BYTES

queries = load_queries(__file__)

MAY_PUBLISH = frozenset({"entity-publisher", "import", "engine", "admin"})
MOST_EVENTS = 500
BUCKETS = 128
# The first of the two numbers of an advisory lock: "evnt". Nobody else uses it.
_SPACE = 0x6576_6E74

Answer = Literal["accepted", "duplicate"] | Rejected


@dataclass(frozen=True, slots=True)
class Offered:
    """A change that a caller wants published, and the chain of what caused it."""

    event: EntityChangeEvent
    causation: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> bytes:
        """The same for the same contents, in whatever order its members stand."""
        told = self.event.model_dump(mode="json", by_alias=True)
        return hashlib.sha256(json.dumps([told, self.causation], sort_keys=True).encode()).digest()


def source_of(caller: Caller) -> str:
    """The CloudEvents source of what a caller publishes."""
    return f"events:{caller.user_id}"


async def accept_changes(conn: Connection, outbox: Outbox, caller: Caller, offered: Sequence[Offered]) -> list[Answer]:
    """An answer for each, in order. Raises asyncpg.ForeignKeyViolationError: nobody imported the caller's tenant."""
    answers: list[Answer | None] = list(await _refusals(conn, caller, offered))
    fresh = {at: one for at, one in enumerate(offered) if answers[at] is None}
    await queries.take_buckets(conn, space=_SPACE, buckets=_buckets(fresh.values()))
    taken = await _take(conn, caller, fresh)
    for at, answer in taken.items():
        answers[at] = answer
    accepted = [one for at, one in fresh.items() if answers[at] == "accepted"]
    await outbox.append(
        conn,
        [passed_on(one.event, replace(caller, causation=one.causation), source_of(caller)) for one in accepted],
    )
    return [answer for answer in answers if answer is not None]


async def _refusals(conn: Connection, caller: Caller, offered: Sequence[Offered]) -> list[Rejected | None]:
    tenant = caller.tenant_id
    erased = await hold_subjects(conn, sorted({(tenant, _subject(one.event)) for one in offered}))
    kinds = await find_kinds(conn, ((tenant, one.event.entity_type) for one in offered))
    return [
        _refusal(
            one.event,
            tenant,
            managed=kinds[tenant, one.event.entity_type].managed,
            erased=(tenant, _subject(one.event)) in erased,
        )
        for one in offered
    ]


def _refusal(event: EntityChangeEvent, tenant: str, *, managed: bool, erased: bool) -> Rejected | None:
    if event.tenant_id != tenant:
        return Rejected("TenantMismatch", "tenantId names another tenant than the token: publish with that tenant's token")
    if managed:
        return Rejected(
            "ManagedEntityType", "changes of this type are made here, by commands: an entity has one writer, send commands"
        )
    if erased:
        return Rejected("SubjectErased", "the entity's subject was erased: nothing is taken of it any more")
    if len(event.to_json()) > MAX_EVENT_BYTES:
        return Rejected("EventTooLarge", f"an event may have at most {MAX_EVENT_BYTES} bytes: leave out large fields")
    return None


async def _take(conn: Connection, caller: Caller, fresh: dict[int, Offered]) -> dict[int, Answer]:
    """Which of these events are new. Of one id twice in a batch the first counts."""
    first = {one.event.event_id: one.fingerprint for one in reversed(fresh.values())}
    known = {"tenant_id": caller.tenant_id, "source": source_of(caller)}
    if not first:
        return {}
    rows = await queries.insert_published(conn, **known, event_ids=list(first), fingerprints=list(first.values()))
    new = {row["event_id"] for row in rows}
    seen = [event_id for event_id in first if event_id not in new]
    found = await queries.find_published(conn, **known, event_ids=seen) if seen else []
    earlier = {row["event_id"]: row["fingerprint"] for row in found}
    answers: dict[int, Answer] = {}
    for at, one in fresh.items():
        event_id = one.event.event_id
        if one.fingerprint != earlier.get(event_id, first[event_id]):
            answers[at] = Rejected("EventIdReused", "this eventId came with other contents: every change has an id of its own")
        elif event_id in new:
            answers[at] = "accepted"
            new.discard(event_id)
        else:
            answers[at] = "duplicate"
    return answers


def _subject(event: EntityChangeEvent) -> str:
    return event.subject_id or subject_of(event.entity_type, event.entity_id)


def _buckets(offered: Iterable[Offered]) -> list[int]:
    keys = (record_key(one.event.tenant_id, one.event.entity_type, one.event.entity_id) for one in offered)
    return sorted({crc32(key) % BUCKETS for key in keys})
