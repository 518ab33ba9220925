"""An event that somebody names by its id: which record it is, where to begin to look, and whether it may be shown.

Nobody keeps where an event lies. What bounds the search is the key, if the entity is named; the time that the asker remembers;
or the time at which the group saw the event, which its inbox keeps. Who looks is told to the audit log before anything is read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from domain.audit import append
from domain.keys.guard import hold_subjects
from domain.rules.change import Change, change_of
from runtime.sql import Connection, load_queries
from schemas.caller import Caller
from schemas.entities import EntityChangeEvent, contradiction, subject_of
from schemas.envelope import caused_by, from_kafka
from schemas.errors import Rejected, UndecodableMessage
from schemas.registry import RULES

queries = load_queries(__file__)

TOPIC = "crm.entity.events"
# Around the time that somebody remembers.
_AROUND = timedelta(minutes=15)
# How far the broker's clock may be before the database's.
_CLOCKS = timedelta(minutes=1)
_ID = "ce_id"


@dataclass(frozen=True, slots=True)
class Sought:
    """The event that is meant. `source`, `entity_id` and `around` may be unknown; each of them makes the search cheaper."""

    tenant_id: str
    entity_type: str
    event_id: str
    source: str | None = None
    entity_id: str | None = None
    around: datetime | None = None

    @property
    def key(self) -> bytes | None:
        """The record's key, of which the partition follows."""
        return f"{self.tenant_id}|{self.entity_type}|{self.entity_id}".encode() if self.entity_id is not None else None


@dataclass(frozen=True, slots=True)
class Told:
    """The event as it was published. `sent_at`: by the broker's record, by which rules were judged."""

    change: Change
    source: str
    subject_id: str
    sent_at: datetime


async def begin(conn: Connection, caller: Caller, rule_id: str, sought: Sought, reason: str) -> None:
    """Write down who looks for which event and why."""
    await append(
        conn,
        tenant_id=caller.tenant_id,
        actor=caller.user_id,
        action="rule.event-read",
        object_type="rule",
        object_id=rule_id,
        reason=reason,
        detail={"eventId": sought.event_id, "source": sought.source},
    )


async def window(conn: Connection, sought: Sought) -> tuple[datetime | None, datetime | None]:
    """Since when and until when the record may lie; None where nothing is known."""
    if sought.around is not None:
        return sought.around - _AROUND, sought.around + _AROUND
    if sought.source is None:
        return None, None
    seen: datetime | None = await queries.find_receipt(
        conn, tenant_id=sought.tenant_id, group_name=RULES.name, source=sought.source, event_id=sought.event_id
    )
    # Not before: a group that was stopped saw its events long after they were sent.
    return None, seen + _CLOCKS if seen else None


def told_by(value: bytes | None, headers: Iterable[tuple[str, bytes | None]], timestamp: int, sought: Sought) -> Told | None:
    """What a record says, if it is the one that is sought. Another tenant's event never is, whatever id it has."""
    given = tuple(headers)
    named = next((text for name, text in given if name.lower() == _ID), None)
    # Almost every record ends here, before anything is decoded. A structured event names itself inside.
    if named is not None and named != sought.event_id.encode():
        return None
    try:
        event = from_kafka(value, given)
        if event.type != EntityChangeEvent.TYPE or (event.tenant, event.id) != (sought.tenant_id, sought.event_id):
            return None
        payload = EntityChangeEvent.model_validate_json(event.data or b"")
    except (UndecodableMessage, ValidationError):
        return None
    if contradiction(event.tenant, event.id, payload) or sought.source not in (None, event.source):
        return None
    if payload.entity_type != sought.entity_type or sought.entity_id not in (None, payload.entity_id):
        return None
    return Told(
        change_of(payload, caused_by(event)),
        event.source,
        payload.subject_id or subject_of(payload.entity_type, payload.entity_id),
        datetime.fromtimestamp(timestamp / 1000, UTC),
    )


async def erased(conn: Connection, told: Told) -> Rejected | None:
    """Why the event may not be shown: its subject was erased, although the topic holds it for some days."""
    tenant = told.change.tenant_id
    if await hold_subjects(conn, [(tenant, told.subject_id)]):
        return Rejected("SubjectErased", "The subject of this event was erased: nothing of it is shown.")
    return None


def not_found(sought: Sought, looked_at: int, *, complete: bool) -> Rejected:
    """What to do when it is not there, or was not reached."""
    of = f"event {sought.event_id} of a {sought.entity_type}"
    text = f"There is no {of} in the last days of the topic; {looked_at} records were looked at."
    if not complete:
        text = f"No {of} in {looked_at} records, where the search ends: say entityId, or at, about when it was sent."
    return Rejected("EventNotFound", text, {"lookedAt": looked_at, "complete": complete})
