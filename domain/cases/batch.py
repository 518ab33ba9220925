"""The same service for a whole batch of commands, as the Kafka door's shell calls it: keys, load, decide each in order, save.

`decide` is pure and folds: the state that it returns is the next command's state. Decisions, composing, sealing, store and
events are those of `commands`, so both doors give one result. Refused commands become CaseCommandRefused without a number.
Never begins, commits or retries; a ConcurrencyConflict from `save` means: roll back and take the same batch again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import assert_never

from domain.cases.case import Case
from domain.cases.composing import Composed, compose, names_in
from domain.cases.decisions import MAY_STORE, Circumstances, Decided, Outcome, decide_remove, decide_store
from domain.cases.known_classes import KnownClasses
from domain.cases.publishing import refused, told
from domain.cases.sealing import Keys, seal_document
from domain.cases.store import CaseKey, find_subjects, lock_cases, write_versions
from domain.keys.guard import hold_subjects
from domain.outbox import Outbox, OutboxEvent
from runtime.keys.ring import DataKey, Subject
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.cases import RemoveCase, StoreSnapshot
from schemas.errors import Rejected

Command = StoreSnapshot | RemoveCase
# The names of variables by their text, or why the text is no document.
Names = Mapping[str, Collection[str] | Rejected]


@dataclass(frozen=True, slots=True)
class Message:
    """One command of the batch: for whom, and its CloudEvents identity."""

    command: Command
    caller: Caller
    source: str
    id: str

    @property
    def key(self) -> CaseKey:
        """Whose state the command reads and changes."""
        return (self.caller.tenant_id, self.command.case_id)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all decisions of a batch share: keys, shredded subjects, classes, and the names of variables by their text."""

    keys: Mapping[Subject, DataKey]
    erased: Collection[Subject]
    classes: KnownClasses
    names: Names = field(repr=False)


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one case."""

    case: Case | None
    tenant_active: bool
    around: Surroundings


@dataclass(frozen=True, slots=True)
class Ruling:
    """One command decided: the case's state afterwards, and the document of the new version, if it got one."""

    message: Message
    state: State
    outcome: Outcome
    composed: Composed | None = None


async def warm_keys(keys: Keys, classes: KnownClasses, messages: Iterable[Message]) -> Names:
    """Let the ring fetch or make the keys that `load` will ask for, before there is a transaction that waits. The names of
    the variables are found on the way: a long text takes a while, and `load` need not read it again."""
    stores = _stores(messages)
    names = _names(stores)
    await keys.current(sorted(_sealing(stores, classes, names)))
    return names


async def load(
    conn: Connection, keys: Keys, classes: KnownClasses, messages: Iterable[Message], names: Names | None = None
) -> dict[CaseKey, State]:
    """Keys first, then the subjects' buckets, then the heads (`sealing`). Every message's key has a state.

    `names`: what `warm_keys` found; the texts that it was not asked about are read here.
    """
    wanted = list(messages)
    stores = _stores(wanted)
    names = _names(stores, names or {})
    sealing = _sealing(stores, classes, names)
    removals = [message.key for message in wanted if isinstance(message.command, RemoveCase)]
    known = {(tenant, subject) for (tenant, _), subject in (await find_subjects(conn, removals)).items()}
    found = await keys.current(sorted(sealing))
    touched = sealing | known | {(caller.tenant_id, command.subject_id) for caller, command in stores}
    erased = await hold_subjects(conn, sorted(touched)) | (sealing - found.keys())
    around = Surroundings(found, erased, classes, names)
    heads = await lock_cases(conn, [message.key for message in wanted])
    return {key: State(head.case, head.tenant_active, around) for key, head in heads.items()}


def _stores(messages: Iterable[Message]) -> list[tuple[Caller, StoreSnapshot]]:
    return [(message.caller, message.command) for message in messages if isinstance(message.command, StoreSnapshot)]


def _names(stores: Iterable[tuple[Caller, StoreSnapshot]], known: Names = MappingProxyType({})) -> Names:
    texts = (command.variables for _, command in stores)
    return {text: known[text] if text in known else names_in(text) for text in texts}


def _sealing(stores: Iterable[tuple[Caller, StoreSnapshot]], classes: KnownClasses, names: Names) -> set[Subject]:
    """The subjects that need a key: what can never be stored makes none."""
    return {
        (caller.tenant_id, command.subject_id)
        for caller, command in stores
        if command.class_name in classes
        and not MAY_STORE.isdisjoint(caller.roles)
        and not isinstance(names[command.variables], Rejected)
    }


def decide(state: State, message: Message, now: datetime) -> Ruling:
    """What one command does to its case; `now` is the database's time at the beginning of the batch."""
    outcome = _outcome(state, message, now)
    if not isinstance(outcome, Decided):
        return Ruling(message, state, outcome)
    composed = compose(outcome)
    if isinstance(composed, Rejected):
        return Ruling(message, state, composed)
    return Ruling(message, replace(state, case=outcome.after), outcome, composed)


async def save(conn: Connection, outbox: Outbox, rulings: Sequence[Ruling], now: datetime) -> None:
    """Seal and append the versions, and their events in the order of the commands."""
    events: list[OutboxEvent] = []
    versions = []
    for ruling in rulings:
        if ruling.composed is not None:
            versions.append(seal_document(ruling.composed, ruling.state.around.keys))
            events.append(told(versions[-1]))
        elif isinstance(ruling.outcome, Rejected):
            events.append(_refused(ruling, ruling.outcome, now))
    await write_versions(conn, versions)
    await outbox.append(conn, events)


def _outcome(state: State, message: Message, now: datetime) -> Outcome:
    command, around, tenant = message.command, state.around, message.caller.tenant_id
    match command:
        case StoreSnapshot():
            known = Circumstances(
                state.tenant_active,
                (tenant, command.subject_id) in around.erased,
                around.classes.get(command.class_name),
                around.names[command.variables],
            )
            return decide_store(state.case, command, message.caller, now, known)
        case RemoveCase():
            subject = state.case.subject_id if state.case else ""
            known = Circumstances(state.tenant_active, (tenant, subject) in around.erased)
            return decide_remove(state.case, command, message.caller, now, known)
        case _:
            assert_never(command)


def _refused(ruling: Ruling, rejected: Rejected, now: datetime) -> OutboxEvent:
    message = ruling.message
    return refused(
        rejected,
        message.command.case_id,
        "StoreSnapshot" if isinstance(message.command, StoreSnapshot) else "RemoveCase",
        message.caller,
        now,
        command_source=message.source,
        command_id=message.id,
    )
