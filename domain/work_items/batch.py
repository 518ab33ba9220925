"""The same service for a whole batch of messages, as the Kafka door's shell calls it: load, decide each in order, save.

`decide` is pure and folds: the state it returns is the next message's state. Decisions, store and events are those of
`commands`, so both doors give one result. Refused commands become WORK_ITEM_ACTION_REFUSED without a number. Never
begins, commits or retries; a ConcurrencyConflict from `save` means: roll back and take the same batch again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from domain.directory.lookups import People, look_up
from domain.incidents import Incident, open_incidents
from domain.outbox import Outbox, OutboxEvent
from domain.work_items import refusals
from domain.work_items.alarms import alarm_of
from domain.work_items.decisions import (
    Decided,
    InstanceSeen,
    Outcome,
    Unchanged,
    WorkItem,
    decide_action,
    decide_create,
    decide_instance,
)
from domain.work_items.item import Step
from domain.work_items.publishing import refused, told
from domain.work_items.store import Key, Written, canonical_id, lock_items, record_instances, write_items
from domain.work_items.taxonomy import default_taxonomy
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.onboarding import InstanceStatusChanged
from schemas.work_items import ApplyAction, CreateWorkItem

Command = CreateWorkItem | ApplyAction | InstanceStatusChanged
# Stands for an id that is no UUID wherever a refusal is kept; the sender knows its command by the command's id.
MALFORMED = "malformed-id"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the batch: what it asks or tells, for whom, and its CloudEvents identity."""

    command: Command
    caller: Caller
    source: str
    id: str

    @property
    def work_item_id(self) -> str:
        """The one spelling of the item's id; as it came when it is no UUID, and '' for an instance without item."""
        named = self.command.work_item_id or ""
        return canonical_id(named) or named

    @property
    def named_id(self) -> str:
        """The item's id as we may keep it for ever: what is no UUID is a sender's text, perhaps about a person."""
        return canonical_id(self.work_item_id) or MALFORMED

    @property
    def key(self) -> Key:
        """Whose state the message reads and changes."""
        return (self.caller.tenant_id, self.work_item_id)


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one key: its item (None: there is none) and the people whom the batch names."""

    item: WorkItem | None
    people: People


@dataclass(frozen=True, slots=True)
class Ruling:
    """One message decided. `state` is the key's state afterwards; `outcome` is None for an instance without an item."""

    message: Message
    state: State
    outcome: Outcome | None
    instance: InstanceStatusChanged | None = None


async def load(conn: Connection, messages: Iterable[Message]) -> dict[Key, State]:
    """Lock the items that exist, in one order, and look up whom the messages name. Every message's key has a state."""
    wanted = list(messages)
    keys = dict.fromkeys(message.key for message in wanted)
    found = await lock_items(conn, sorted((tenant, item, None) for tenant, item in keys if canonical_id(item)))
    people, _ = await look_up(conn, (pair for message in wanted for pair in _named(message)))
    return {key: State(found[key].item if key in found else None, people) for key in keys}


def decide(state: State, message: Message, now: datetime) -> Ruling:
    """What one message does to its key's state; `now` is the database's time at the beginning of the batch."""
    command, caller = message.command, message.caller
    match command:
        case CreateWorkItem():
            return _ruled(state, message, _create(state, message, command, now))
        case ApplyAction():
            active = state.people.is_active(caller.tenant_id, command.new_assignee_id)
            return _ruled(state, message, decide_action(state.item, command, caller, now, assignee_active=active))
        case InstanceStatusChanged():
            return _instance(state, message, command, now)
        case _:
            assert_never(command)


async def save(conn: Connection, outbox: Outbox, rulings: Sequence[Ruling], now: datetime) -> None:
    """Write what was ruled: items with history, instances, incidents, and the events in the order of the messages."""
    await write_items(conn, _folded(rulings))
    await record_instances(conn, [(*ruling.message.key, ruling.instance) for ruling in rulings if ruling.instance])
    await open_incidents(conn, [alarm for ruling in rulings for alarm in _alarms(ruling)])
    await outbox.append(conn, [event for ruling in rulings for event in _events(ruling, now)])


def _named(message: Message) -> Iterable[tuple[str, str | None]]:
    match message.command:
        case CreateWorkItem(assignee_id=assignee):
            yield (message.caller.tenant_id, assignee)
        case ApplyAction(new_assignee_id=str(assignee)):
            yield (message.caller.tenant_id, assignee)


def _create(state: State, message: Message, command: CreateWorkItem, now: datetime) -> Outcome:
    caller = message.caller
    if canonical_id(command.work_item_id) is None:
        return refusals.malformed_id(command.work_item_id)
    return decide_create(
        state.item,
        command.model_copy(update={"work_item_id": message.work_item_id}),
        caller,
        now,
        coupling=default_taxonomy().coupling_of(command.process),
        tenant_active=caller.tenant_id in state.people.active_tenants,
        assignee_active=state.people.is_active(caller.tenant_id, command.assignee_id),
    )


def _instance(state: State, message: Message, event: InstanceStatusChanged, now: datetime) -> Ruling:
    if event.work_item_id is None:
        return Ruling(message, state, None)
    seen = decide_instance(state.item, event, message.caller, now)
    if isinstance(seen, InstanceSeen):
        return _ruled(state, message, seen.outcome, seen.event)
    return _ruled(state, message, seen)


def _ruled(state: State, message: Message, outcome: Outcome, instance: InstanceStatusChanged | None = None) -> Ruling:
    after = replace(state, item=outcome.after) if isinstance(outcome, Decided) else state
    return Ruling(message, after, outcome, instance)


def _folded(rulings: Sequence[Ruling]) -> list[Written]:
    """One write per item: from what was loaded to the last state, with all steps between."""
    folded: dict[Key, Written] = {}
    for ruling in rulings:
        outcome = ruling.outcome
        if not isinstance(outcome, Decided):
            continue
        known = folded.get(ruling.message.key)
        steps: tuple[Step, ...] = (known.steps if known else ()) + outcome.steps
        if known:
            folded[ruling.message.key] = replace(known, item=outcome.after, steps=steps)
        else:
            command = ruling.message.command
            created = command if isinstance(command, CreateWorkItem) else None
            folded[ruling.message.key] = Written(outcome.before, outcome.after, steps, created)
    return list(folded.values())


def _alarms(ruling: Ruling) -> Iterable[Incident]:
    if isinstance(ruling.outcome, Rejected):
        of_instance = isinstance(ruling.message.command, InstanceStatusChanged)
        alarm = alarm_of(ruling.outcome, ruling.message.caller.tenant_id, ruling.message.named_id, of_instance=of_instance)
        if alarm:
            yield alarm


def _events(ruling: Ruling, now: datetime) -> Iterable[OutboxEvent]:
    message, outcome = ruling.message, ruling.outcome
    match outcome:
        case Decided():
            yield from told(outcome, message.caller)
        case Rejected() if not isinstance(message.command, InstanceStatusChanged):
            yield refused(outcome, message.named_id, message.caller, now, command_source=message.source, command_id=message.id)
        case Rejected() | Unchanged() | None:
            # News of an instance is no command: nobody waits for an answer, and an incident tells the people.
            pass
        case _:
            assert_never(outcome)
