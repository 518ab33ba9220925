"""Persist points: what an instance knows of its case becomes the next version of a case, in the instance's own transaction.

    the state is entered -> PersistCase -> a snapshot of the flow's case class, sealed, with its event -> analysts' tables

The case has the instance's id. It goes the way of every snapshot (`domain.cases.batch`): the same decisions, sealing, store and
event. A transaction is decided once, so a point is stored once, however often its command comes; a replay stores nothing.

| what keeps it from being stored | then |
|---|---|
| the person was erased | nothing is stored, and nobody need know |
| an unknown class, another class or person under this id, too large | an incident; the journey goes on |

An incident is cured by storing the case as it is then (`persist_again`), and by the next point that can be stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import orjson

from domain.cases import batch as cases
from domain.cases.commands import system_caller
from domain.incidents import Incident, close_incidents, open_incidents
from domain.keys.guard import hold_subjects
from domain.onboarding import refusals
from domain.onboarding.case_words import Words, read_words
from domain.onboarding.engine import Engine
from domain.onboarding.flow import Flow, FlowKey
from domain.onboarding.instance import Instance
from domain.onboarding.orders import PersistCase
from domain.onboarding.store import Case, find_named, lock_instances, queries
from domain.onboarding.turn import Outcome, Unchanged
from runtime.sql import Connection
from schemas.cases import CaseState, StoreSnapshot
from schemas.errors import NotFound, Rejected
from schemas.flows import State
from schemas.instants import format_time

NOT_PERSISTED: Literal["case-not-persisted"] = "case-not-persisted"
OBJECT = "onboarding"
SOURCE = "onboarding"
# The name in a document under which it is told where the journey stood; what a person said under it is not stored.
WHERE = "onboarding"
_STATES: Mapping[str | None, CaseState] = {None: "Active", "completed": "Completed", "rejected": "Terminated"}


@dataclass(frozen=True, slots=True)
class Point:
    """A persist point that was passed: where the instance was then, and its sealed case."""

    instance: Instance
    class_name: str
    state: State
    entry: int
    case: Case = field(repr=False)


def point_of(instance: Instance, flow: Flow, order: PersistCase, case: Case) -> Point | None:
    """The point of an order; None: the flow names no class, as lint has said."""
    name = flow.definition.case_class
    return None if name is None else Point(instance, name, flow.states[order.state], order.entry, case)


async def persist(conn: Connection, engine: Engine, points: Sequence[Point], now: datetime) -> list[Rejected]:
    """Store these points in their order; why some were not. The caller holds their subjects and instances."""
    if not points:
        return []
    asked = await _asked(engine, points)
    states = await cases.load(conn, engine.keys, await engine.classes.read(conn), [message for _, message in asked])
    rulings = []
    for _, message in asked:
        ruling = cases.decide(states[message.key], message, now)
        states[message.key] = ruling.state
        rulings.append(ruling)
    await cases.save(conn, engine.outbox, [one for one in rulings if not isinstance(one.outcome, Rejected)], now)
    answers = [(point, one.outcome) for (point, _), one in zip(asked, rulings, strict=True)]
    refused = [(point, said) for point, said in answers if isinstance(said, Rejected) and said.code != "SubjectErased"]
    last = {point.instance.id: (point, said) for point, said in answers}
    stored = [point for point, said in last.values() if not isinstance(said, Rejected)]
    await close_incidents(conn, [(*_of(point), OBJECT, point.instance.id) for point in stored], "system:onboarding")
    await open_incidents(conn, [_incident(point, said) for point, said in refused])
    return [said for _, said in refused]


async def persist_again(conn: Connection, engine: Engine, tenant_id: str, instance_id: str) -> Outcome:
    """Store the case as it is now, for whoever mended what kept a point from being stored. Raises NotFound."""
    named = (await find_named(conn, [(tenant_id, instance_id)])).get((tenant_id, instance_id))
    if named is None:
        raise NotFound(f"instance {instance_id}")
    await engine.keys.current([named.subject])
    if await hold_subjects(conn, [named.subject]):
        return refusals.user_erased()
    held = (await lock_instances(conn, [(tenant_id, instance_id)]))[tenant_id, instance_id]
    instance, of = held.instance, (tenant_id, FlowKey(held.instance.flow, held.instance.flow_version))
    flow = (await engine.flows.read(conn, [of])).get(of)
    point = None if flow is None else point_of(instance, flow, PersistCase(instance.state, instance.entry), held.case)
    if point is None:
        return refusals.no_case_class(instance)
    refused = await persist(conn, engine, [point], await queries.read_clock(conn))
    return refused[0] if refused else Unchanged(instance, "its case was stored")


async def _asked(engine: Engine, points: Sequence[Point]) -> list[tuple[Point, cases.Message]]:
    """The points as commands. One whose words cannot be opened any more is of an erased person, and left out."""
    words = await read_words(engine.keys, [(point.instance, point.case) for point in points])
    return [(point, _message(point, said)) for point, said in zip(points, words, strict=True) if said is not None]


def _message(point: Point, words: Words) -> cases.Message:
    instance = point.instance
    where = {
        "flow": instance.flow,
        "flowVersion": instance.flow_version,
        "state": point.state.name,
        "step": point.state.step or point.state.name,
        "startedAt": format_time(instance.started_at),
        "entry": point.entry,
    }
    command = StoreSnapshot(
        case_id=instance.id,
        class_name=point.class_name,
        subject_id=instance.user_id,
        variables=orjson.dumps({**words, WHERE: where}).decode(),
        state=_STATES[point.state.end],
        process_instance_id=instance.id,
        process_definition_id=f"{instance.flow}.v{instance.flow_version}",
    )
    return cases.Message(command, system_caller(instance.tenant_id, SOURCE), SOURCE, f"{instance.id}/{point.entry}")


def _of(point: Point) -> tuple[str, str]:
    return point.instance.tenant_id, NOT_PERSISTED


def _incident(point: Point, said: Rejected) -> Incident:
    instance = point.instance
    return Incident(
        tenant_id=instance.tenant_id,
        kind=NOT_PERSISTED,
        fingerprint=f"{instance.flow}|{point.class_name}|{said.code}",
        summary="a persist point of an onboarding could not be stored, and analysts do not see it",
        object_type=OBJECT,
        object_id=instance.id,
        cure="mend the cause (the class must be published, the case small enough); then `casestream incident retry`",
        detail={"code": said.code, "class": point.class_name, "state": point.state.name, "flowVersion": instance.flow_version},
    )
