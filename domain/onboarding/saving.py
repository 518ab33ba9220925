"""What a batch decided becomes rows, events and orders: sealed, folded to one write per instance, in the order of decisions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.effects.effect import Outcome
from domain.onboarding.asking import target_document
from domain.onboarding.calls import Planned, Sealed
from domain.onboarding.engine import Engine
from domain.onboarding.flow import Flow
from domain.onboarding.history import WORDS, Recorded, recorded
from domain.onboarding.instance import Instance
from domain.onboarding.orders import PersistCase, Remind, RunStep
from domain.onboarding.performing import Ordered, perform
from domain.onboarding.persisting import Point, persist, point_of
from domain.onboarding.publishing import told
from domain.onboarding.reminding import Due, due_of, remind
from domain.onboarding.sealing import CASE, EVENT, Keys, key_place, open_words, seal_words
from domain.onboarding.store import Case, Key, Written, queries, write
from domain.onboarding.turn import Context, Decided
from domain.outbox import OutboxEvent
from runtime.keys.ring import DataKey, Subject
from runtime.sql import Connection
from schemas.errors import DecryptionFailed
from schemas.onboarding import Command
from schemas.workflow_events import ActionAccepted, ReviewConcluded, StepCompleted, WorkflowStarted

# What becomes part of the case. What an undo gave does not.
_TO_CASE = (WorkflowStarted, ActionAccepted, StepCompleted, ReviewConcluded)


@dataclass(frozen=True, slots=True)
class Step:
    """One decision with what writing it needs. `key` None: nothing was said, or the subject is erased."""

    before: Instance | None
    decided: Decided
    command: Command
    context: Context
    flow: Flow
    case: Case
    key: DataKey | None = field(repr=False)
    traceparent: str | None = None
    causation: tuple[str, ...] = ()

    @property
    def instance(self) -> Instance:
        return self.decided.instance

    @property
    def of(self) -> Key:
        return (self.instance.tenant_id, self.instance.id)

    @property
    def subject(self) -> Subject:
        return (self.instance.tenant_id, self.instance.user_id)


async def write_steps(
    conn: Connection, engine: Engine, steps: Sequence[Step], now: datetime
) -> tuple[list[Outcome], dict[Key, Case]]:
    """Write decisions and carry out their orders. Calls that ended by being cancelled, and the cases afterwards."""
    composed = await compose(engine.keys, steps)
    await write(conn, composed.written)
    await engine.outbox.append(conn, composed.events)
    await persist(conn, engine, _points(steps, composed.then), now)
    await remind(conn, engine, _reminders(steps, composed.then))
    wanted = ordered(steps, composed.cases, await _results(conn, steps))
    return await perform(conn, engine.outbox, wanted, now), composed.cases


@dataclass(frozen=True, slots=True)
class Composed:
    """What decisions write: one row per instance, their outbox events, the cases afterwards; `then`: after each decision."""

    written: Sequence[Written]
    events: Sequence[OutboxEvent]
    cases: dict[Key, Case]
    then: Sequence[Case]


async def compose(keys: Keys, steps: Sequence[Step]) -> Composed:
    """Decisions as rows and events, sealed; of a database this knows nothing."""
    histories = [
        recorded(step.decided.events, step.before.version if step.before else 0, step.command, step.context) for step in steps
    ]
    secrets = await _secrets(keys, steps, histories)
    written: dict[Key, Written] = {}
    cases: dict[Key, Case] = {}
    events: list[OutboxEvent] = []
    then: list[Case] = []
    for step, history in zip(steps, histories, strict=True):
        earlier = written.get(step.of)
        sealed = _sealed(step, history)
        case = _merged(step, history, cases.get(step.of, step.case), secrets)
        if case is not None:
            cases[step.of] = case
        then.append(cases.get(step.of, step.case))
        written[step.of] = Written(
            earlier.loaded if earlier else step.before,
            step.instance,
            [*(earlier.history if earlier else ()), *history],
            {**(earlier.sealed if earlier else {}), **sealed},
            case or (earlier.case if earlier else None),
        )
        events += told(step.instance, history, step.context.by, step.traceparent, step.causation)
    return Composed(list(written.values()), events, cases, then)


def _points(steps: Sequence[Step], then: Sequence[Case]) -> list[Point]:
    """The persist points that decisions passed. Of a person whom the ledger names nothing is stored."""
    return [
        point
        for step, case in zip(steps, then, strict=True)
        for order in step.decided.orders
        if isinstance(order, PersistCase) and step.key is not None
        if (point := point_of(step.instance, step.flow, order, case)) is not None
    ]


def _reminders(steps: Sequence[Step], then: Sequence[Case]) -> list[Due]:
    """The reminders that were decided."""
    return [
        due_of(step.instance, step.flow, order, case)
        for step, case in zip(steps, then, strict=True)
        for order in step.decided.orders
        if isinstance(order, Remind)
    ]


def said_in(row: Recorded) -> dict[str, Any]:
    """What a person said in an event."""
    given = sorted(WORDS.keys() & row.event.model_fields_set)
    return {name: value for name in given if (value := getattr(row.event, name)) is not None}


async def _secrets(keys: Keys, steps: Sequence[Step], histories: Sequence[Sequence[Recorded]]) -> dict[UUID, bytes]:
    """What opens the cases that will be merged with."""
    wanted = [
        key_place(step.subject, step.case.sealed)
        for step, history in zip(steps, histories, strict=True)
        if step.key is not None and step.case.sealed is not None and any(_to_case(row) for row in history)
    ]
    return await keys.secrets(wanted) if wanted else {}


def _sealed(step: Step, history: Iterable[Recorded]) -> dict[int, bytes]:
    if step.key is None:
        return {}
    return {
        row.number: seal_words(step.key, step.subject, EVENT, step.instance.id, row.number, words)
        for row in history
        if (words := said_in(row))
    }


def _to_case(row: Recorded) -> dict[str, Any] | None:
    return getattr(row.event, "data", None) if isinstance(row.event, _TO_CASE) else None


def _merged(step: Step, history: Sequence[Recorded], before: Case, secrets: dict[UUID, bytes]) -> Case | None:
    """The case with what was said now; None: nothing was, or the subject is erased."""
    additions = [data for row in history if (data := _to_case(row)) and not _of_undo(step, row)]
    if step.key is None or not additions:
        return None
    known = dict[str, Any]()
    opened = {**secrets, step.key.key_id: step.key.secret}
    if before.sealed is not None:
        try:
            known = open_words(opened, step.subject, CASE, step.instance.id, before.version, before.sealed)
        except DecryptionFailed:
            # Its key is gone: what it said is erased.
            known = {}
    for data in additions:
        known = {**known, **data}
    version = before.version + 1
    return Case(version, seal_words(step.key, step.subject, CASE, step.instance.id, version, known))


def _of_undo(step: Step, row: Recorded) -> bool:
    event = row.event
    if not isinstance(event, StepCompleted) or step.before is None:
        return False
    of = step.before.steps.get(event.step)
    return of is not None and of.undoes is not None


def ordered(steps: Sequence[Step], cases: Mapping[Key, Case], results: Mapping[tuple[Key, int, int], Sealed]) -> list[Ordered]:
    """The orders of decisions, calls with what they carry. `results`: what undos need of their forward steps."""
    found = []
    for step in steps:
        case = cases.get(step.of, step.case)
        for order in step.decided.orders:
            planned = None
            if isinstance(order, RunStep):
                declared = step.flow.handlers.get(order.handler)
                planned = Planned(
                    declared.kind if declared else "python",
                    target_document(declared) if declared else None,
                    Sealed(case.version, case.sealed) if case.sealed else None,
                    results.get((step.of, order.input_from or 0, order.undoes or 0)),
                )
            found.append(Ordered(step.instance, order, planned))
    return found


async def _results(conn: Connection, steps: Sequence[Step]) -> dict[tuple[Key, int, int], Sealed]:
    """Of undos, what their forward steps gave, or what a person put in its place; by (instance, input, step)."""
    undos = [(step.of, order) for step in steps for order in step.decided.orders if isinstance(order, RunStep) and order.undoes]
    if not undos:
        return {}
    given = [(of, order) for of, order in undos if order.input_from is None]
    edited = [(of, order) for of, order in undos if order.input_from is not None]
    found: dict[tuple[Key, int, int], Sealed] = {}
    for row in await queries.find_results(conn, **_named(given), steps=[order.undoes for _, order in given]):
        of = (row["tenant_id"], row["instance_id"])
        found[of, 0, row["step"]] = Sealed(row["sequence_number"], row["data"])
    for row in await queries.find_said(conn, **_named(edited), numbers=[order.input_from for _, order in edited]):
        for of, order in edited:
            if of == (row["tenant_id"], row["instance_id"]) and order.input_from == row["sequence_number"]:
                found[of, order.input_from or 0, order.undoes or 0] = Sealed(row["sequence_number"], row["data"])
    return found


def _named(wanted: Sequence[tuple[Key, RunStep]]) -> dict[str, list[str]]:
    return {"tenant_ids": [of[0] for of, _ in wanted], "ids": [of[1] for of, _ in wanted]}
