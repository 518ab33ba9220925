"""Onboarding over a batch of commands, as all doors call it: keys, load, decide each in order, save.

    1. subjects of the instances, without a lock; keys of those about whom something is said or may be opened, from the ring
    2. `hold_subjects`, then the instances' rows, in the order of (tenant, instance)
    3. decide each command on what the one before it left (pure)
    4. seal what was said; write instances, events, attempts, cases; then their outbox events; store what persist points
       ask for, plan reminders
    5. carry out the orders; calls that were cancelled before anybody made them have ended: back to 3 with these outcomes

Never begins, commits or retries; a ConcurrencyConflict from `save` means: roll back and take the same batch again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from zlib import crc32

from domain.keys.guard import hold_subjects
from domain.onboarding.calls import command_of
from domain.onboarding.decisions import decide as decide_command
from domain.onboarding.definitions import FollowedFlows, TenantFlow
from domain.onboarding.engine import Engine
from domain.onboarding.flow import Flow, FlowKey
from domain.onboarding.history import WORDS
from domain.onboarding.instance import Instance
from domain.onboarding.refusals import tenant_inactive, user_erased
from domain.onboarding.saving import Step, write_steps
from domain.onboarding.sealing import Keys
from domain.onboarding.store import Case, Key, Named, find_active_tenants, find_named, lock_instances
from domain.onboarding.turn import Context, Decided, Outcome
from runtime.keys.ring import DataKey, Subject
from runtime.sql import Connection
from schemas.flows import Actor
from schemas.onboarding import Command, MigrateInstance, StartInstance

ENGINE_ACTORS: frozenset[Actor] = frozenset({"SYSTEM"})


@dataclass(frozen=True, slots=True)
class Message:
    """One command: for whom, by whom and as what. `id` tells repetitions and jitters apart."""

    tenant_id: str
    command: Command
    by: str
    actors: frozenset[Actor]
    id: str
    traceparent: str | None = None
    causation: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return (self.tenant_id, self.command.instance_id)

    @property
    def says_something(self) -> bool:
        """Whether it holds what a person said, which is sealed."""
        return any(getattr(self.command, name, None) is not None for name in WORDS)

    def context(self, now: datetime) -> Context:
        """The jitter is drawn from the identity: whoever repeats the batch decides the same."""
        jitter = crc32(f"{self.command.instance_id}|{self.id}".encode()) / 2**32
        return Context(self.tenant_id, self.by, self.actors, now, jitter)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all decisions of a batch share."""

    flows: Mapping[TenantFlow, Flow]
    keys: Mapping[Subject, DataKey] = field(repr=False)
    erased: Collection[Subject]
    active_tenants: Collection[str]
    code_versions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one instance: as decided so far, and its case as it was loaded."""

    instance: Instance | None
    case: Case
    around: Surroundings


@dataclass(frozen=True, slots=True)
class Ruling:
    """One command decided. `before` is what it met, `state` what it leaves."""

    message: Message
    before: Instance | None
    state: State
    outcome: Outcome
    context: Context


async def warm_keys(keys: Keys, messages: Iterable[Message]) -> None:
    """Let the ring fetch the keys of those who begin, before there is a transaction that waits."""
    subjects = {
        (message.tenant_id, message.command.user_id)
        for message in messages
        if isinstance(message.command, StartInstance) and message.says_something
    }
    await keys.current(sorted(subjects))


async def load(conn: Connection, engine: Engine, messages: Sequence[Message]) -> dict[Key, State]:
    """Steps 1 and 2. Every message's instance has a state."""
    wanted = {message.key for message in messages}
    named = await _named(conn, messages)
    starts = {message.key: message for message in messages if isinstance(message.command, StartInstance)}
    # A start is refused for an erased subject, whatever it says; else only what is sealed needs a key.
    sealing = {message.key for message in messages if message.says_something} | await _opening(conn, engine.flows, named)
    said = sorted({named[key].subject for key in sealing & named.keys()})
    found = await engine.keys.current(said) if said else {}
    touched = {named[key].subject for key in (sealing | starts.keys()) & named.keys()}
    erased = await hold_subjects(conn, sorted(touched)) | (set(said) - found.keys())
    active = await find_active_tenants(conn, {tenant for tenant, _ in starts})
    held = await lock_instances(conn, wanted)
    followed = await engine.flows.read(conn, _flows_of(messages, [one.instance for one in held.values()]))
    # Whoever the ledger names has no key here, kept in the ring or not: nothing about him is sealed any more.
    usable = {subject: key for subject, key in found.items() if subject not in erased}
    around = Surroundings(followed, usable, erased, active, engine.code_versions)
    return {
        key: State(held[key].instance, held[key].case, around) if key in held else State(None, Case(), around) for key in wanted
    }


async def _named(conn: Connection, messages: Iterable[Message]) -> dict[Key, Named]:
    """Whose the instances are; of those that are not there yet as they would begin."""
    asked = list(messages)
    named = await find_named(conn, {message.key for message in asked})
    for message in asked:
        if isinstance(command := message.command, StartInstance):
            of = Named((message.tenant_id, command.user_id), FlowKey(command.flow, command.flow_version))
            named.setdefault(message.key, of)
    return named


async def _opening(conn: Connection, flows: FollowedFlows, named: Mapping[Key, Named]) -> set[Key]:
    """The instances whose flows have persist points or write mails: whatever moves them may lead there."""
    followed = await flows.read(conn, {(tenant, one.flow) for (tenant, _), one in named.items()})
    return {key for key, one in named.items() if (flow := followed.get((key[0], one.flow))) is not None and flow.opens_cases}


def decide(state: State, message: Message, now: datetime) -> Ruling:
    """Step 3, pure. `now` is the database's time at the beginning of the batch."""
    around = state.around
    message = _with_code(message, around.code_versions)
    context, command = message.context(now), message.command
    outcome: Outcome
    if isinstance(command, StartInstance) and message.tenant_id not in around.active_tenants:
        outcome = tenant_inactive(message.tenant_id)
    elif isinstance(command, StartInstance) and (message.tenant_id, command.user_id) in around.erased:
        outcome = user_erased()
    else:
        flows = {key: flow for (tenant, key), flow in around.flows.items() if tenant == message.tenant_id}
        outcome = decide_command(flows, state.instance, command, context)
    after = replace(state, instance=outcome.instance) if isinstance(outcome, Decided) else state
    return Ruling(message, state.instance, after, outcome, context)


def _with_code(message: Message, versions: Mapping[str, int]) -> Message:
    """A start says which code began the instance, so that its history says it too."""
    command = message.command
    if not isinstance(command, StartInstance) or command.code_versions or not versions:
        return message
    return replace(message, command=command.model_copy(update={"code_versions": dict(versions)}))


async def save(conn: Connection, engine: Engine, rulings: Sequence[Ruling], now: datetime) -> None:
    """Steps 4 and 5."""
    latest = {ruling.message.key: ruling.state for ruling in rulings}
    while steps := [step_of(ruling) for ruling in rulings if isinstance(ruling.outcome, Decided)]:
        await _pin(conn, engine.flows, rulings)
        ended, cases = await write_steps(conn, engine, steps, now)
        for key, case in cases.items():
            latest[key] = replace(latest[key], case=case)
        rulings = []
        for outcome in ended:
            message = engine_message(outcome.tenant_id, command_of(outcome, None), str(outcome.effect_id))
            ruling = decide(latest[message.key], message, now)
            latest[message.key] = ruling.state
            rulings.append(ruling)


def engine_message(tenant_id: str, command: Command, id_: str) -> Message:
    """A command of the engine's own."""
    return Message(tenant_id, command, "system:onboarding", ENGINE_ACTORS, id_)


def step_of(ruling: Ruling) -> Step:
    """A decision with what writing it needs."""
    outcome, message, around = ruling.outcome, ruling.message, ruling.state.around
    assert isinstance(outcome, Decided)
    instance = outcome.instance
    return Step(
        before=ruling.before,
        decided=outcome,
        command=message.command,
        context=ruling.context,
        flow=around.flows[instance.tenant_id, FlowKey(instance.flow, instance.flow_version)],
        case=ruling.state.case,
        key=around.keys.get((instance.tenant_id, instance.user_id)),
        traceparent=message.traceparent,
        causation=message.causation,
    )


async def _pin(conn: Connection, flows: FollowedFlows, rulings: Iterable[Ruling]) -> None:
    """What instances begin on or move to is theirs from now on."""
    pinned = {
        (one.instance.tenant_id, FlowKey(one.instance.flow, one.instance.flow_version)): ruling.state.around.flows
        for ruling in rulings
        if isinstance(one := ruling.outcome, Decided) and isinstance(ruling.message.command, StartInstance | MigrateInstance)
    }
    if pinned:
        await flows.pin(conn, {key: known[key] for key, known in pinned.items()}, "system:onboarding")


def _flows_of(messages: Iterable[Message], instances: Iterable[Instance]) -> set[TenantFlow]:
    wanted = {(one.tenant_id, FlowKey(one.flow, one.flow_version)) for one in instances}
    known = {(one.tenant_id, one.id): one.flow for one in instances}
    for message in messages:
        command = message.command
        if isinstance(command, StartInstance):
            wanted.add((message.tenant_id, FlowKey(command.flow, command.flow_version)))
        elif isinstance(command, MigrateInstance) and message.key in known:
            wanted.add((message.tenant_id, FlowKey(known[message.key], command.flow_version)))
    return wanted
