"""Changes and commands of a whole batch, as the Kafka door's shell calls it: load, decide each in order, save.

`decide` is pure and folds: the state that it returns is the next message's state. Never begins, commits or retries; a
ConcurrencyConflict from `save` means: roll back and take the same batch again. Of an erased subject nothing is written.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from domain.entities.activity import activity_of
from domain.entities.alarms import foreign_writer, refused_command
from domain.entities.decisions import Changed, Command, Outcome
from domain.entities.decisions import decide as decide_command
from domain.entities.entity import Entity, EntityKey, EntityKind
from domain.entities.folding import fold
from domain.entities.kinds import find_kinds
from domain.entities.publishing import changed_event, told
from domain.entities.store import (
    MAX_VALUES_BYTES,
    CommandKey,
    Loaded,
    Written,
    find_commands,
    find_subjects,
    known_tenants,
    lock_entities,
    note_activities,
    pack_values,
    record_commands,
    write_entities,
)
from domain.incidents import Incident, open_incidents
from domain.keys.guard import Subject, hold_subjects
from domain.outbox import Outbox, OutboxEvent
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.entities import EntityChangeEvent, subject_of
from schemas.errors import ConcurrencyConflict, PermanentError, Rejected
from schemas.registry import MAX_EVENT_BYTES


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the batch. `source` is its sender's, `ours` whether that is this house; `sent_at` a command's time."""

    payload: EntityChangeEvent | Command
    caller: Caller
    source: str
    ours: bool
    sent_at: datetime | None

    @property
    def key(self) -> EntityKey:
        """Whose state the message reads and changes."""
        return (self.caller.tenant_id, self.payload.entity_type, self.payload.entity_id)

    @property
    def kind_key(self) -> tuple[str, str]:
        return self.key[:2]


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one entity. `decided`: ids of its commands that were decided before."""

    loaded: Loaded | None
    entity: Entity | None
    kind: EntityKind
    tenant_known: bool
    erased: frozenset[str]
    decided: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ruling:
    """One message decided: the entity's state afterwards, and what else is to be written."""

    message: Message
    state: State
    moved: bool = False
    outcome: Outcome | None = None
    event: EntityChangeEvent | None = None
    activity: tuple[EntityKey, datetime] | None = None
    alarm: Incident | None = None


async def load(conn: Connection, messages: Iterable[Message]) -> dict[EntityKey, State]:
    """The subjects' buckets first, then the entities in their order. Every message's key has a state."""
    wanted = list(messages)
    keys = sorted({message.key for message in wanted})
    before = await find_subjects(conn, keys)
    held = sorted({(key[0], subject) for key, subject in before.items()} | {_named(message) for message in wanted})
    tenants = await known_tenants(conn, (key[0] for key in keys))
    erased = await hold_subjects(conn, held)
    kinds = await find_kinds(conn, (message.kind_key for message in wanted))
    found = await lock_entities(conn, keys)
    if any(found[key].entity.subject_id != before.get(key) for key in found):
        raise ConcurrencyConflict("the subjects that were held", "another one")
    commands = {_command_key(message) for message in wanted if not isinstance(message.payload, EntityChangeEvent)}
    decided = await find_commands(conn, commands)
    return {
        key: State(
            loaded=found.get(key),
            entity=found[key].entity if key in found else None,
            kind=kinds[key[:2]],
            tenant_known=key[0] in tenants,
            erased=frozenset(subject for tenant, subject in erased if tenant == key[0]),
            decided=frozenset(command_id for *of, command_id in decided if tuple(of) == key),
        )
        for key in keys
    }


def decide(state: State, message: Message, now: datetime) -> Ruling:
    """What one message does to its entity. Raises PermanentError for one that can never be applied: it is parked."""
    if not state.tenant_known:
        raise PermanentError("the directory does not know this tenant: import it, then redrive the message")
    if isinstance(message.payload, EntityChangeEvent):
        return _folded(state, message, message.payload, now)
    return _commanded(state, message, message.payload, now)


async def save(conn: Connection, outbox: Outbox, rulings: Sequence[Ruling], now: datetime) -> None:
    """Write what was ruled: states, activities, decided commands, incidents, and the events in the messages' order."""
    last = {ruling.message.key: ruling.state for ruling in rulings if ruling.moved}
    await write_entities(conn, [Written(state.loaded, state.entity) for state in last.values() if state.entity is not None])
    await note_activities(conn, [ruling.activity for ruling in rulings if ruling.activity])
    await record_commands(conn, {_command_key(ruling.message): _word(ruling) for ruling in rulings if ruling.outcome}, now)
    await open_incidents(conn, [ruling.alarm for ruling in rulings if ruling.alarm])
    await outbox.append(conn, [event for ruling in rulings for event in _events(outbox, ruling)])


def _folded(state: State, message: Message, event: EntityChangeEvent, now: datetime) -> Ruling:
    if state.kind.managed and not message.ours:
        return Ruling(message, state, alarm=foreign_writer(message.caller.tenant_id, event.entity_type, message.source))
    if _is_erased(state, event.subject_id, message):
        return Ruling(message, state)
    entity = fold(state.entity, event)
    if entity is not None and len(pack_values(entity.values)) > MAX_VALUES_BYTES:
        raise PermanentError(f"the entity's values would have more than {MAX_VALUES_BYTES} bytes: send fewer or shorter fields")
    after = state if entity is None else replace(state, entity=entity)
    known = after.entity.values if after.entity else {}
    return Ruling(message, after, moved=entity is not None, activity=activity_of(event, known, now))


def _commanded(state: State, message: Message, command: Command, now: datetime) -> Ruling:
    since = state.kind.managed_since
    # A command from before we managed the type was for its upstream, whenever it is read.
    if since is None or (message.sent_at is not None and message.sent_at < since) or command.command_id in state.decided:
        return Ruling(message, state)
    outcome = decide_command(state.entity, command, state.kind, message.caller, now, erased=_is_erased(state, None, message))
    after = replace(state, decided=state.decided | {command.command_id})
    if isinstance(outcome, Changed):
        event = changed_event(outcome, command, message.caller)
        if len(event.to_json()) <= MAX_EVENT_BYTES:
            return Ruling(message, replace(after, entity=outcome.after), moved=True, outcome=outcome, event=event)
        outcome = Rejected("EventTooLarge", f"the change with old and new values would have more than {MAX_EVENT_BYTES} bytes")
    alarm = refused_command(outcome, command, message.caller.tenant_id) if isinstance(outcome, Rejected) else None
    return Ruling(message, after, outcome=outcome, alarm=alarm)


def _is_erased(state: State, named: str | None, message: Message) -> bool:
    known = state.entity.subject_id if state.entity else subject_of(*message.key[1:])
    return not state.erased.isdisjoint({known, named or known})


def _named(message: Message) -> Subject:
    named = message.payload.subject_id if isinstance(message.payload, EntityChangeEvent) else None
    return (message.caller.tenant_id, named or subject_of(*message.key[1:]))


def _command_key(message: Message) -> CommandKey:
    assert not isinstance(message.payload, EntityChangeEvent), "an event is no command"
    return (*message.key, message.payload.command_id)


def _word(ruling: Ruling) -> str:
    outcome = ruling.outcome
    if isinstance(outcome, Rejected):
        return outcome.code
    return "changed" if isinstance(outcome, Changed) else "unchanged"


def _events(outbox: Outbox, ruling: Ruling) -> Iterable[OutboxEvent]:
    if isinstance(ruling.outcome, Changed) and ruling.event is not None:
        yield told(outbox, ruling.outcome, ruling.event, ruling.message.caller)
