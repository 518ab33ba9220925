"""What is stuck: an instance that wants a call, a timer or a task that is not there, or that never got the outcome of its call.

| cause | the instance wants | and there is |
|---|---|---|
| call-missing | a call | no effect |
| outcome-unfolded | a call | an effect that has ended, and the instance waits for it still |
| timer-missing | a timer, of its own or of an answer that comes later | none that is armed or fired within the grace |
| task-missing | a person's decision | no task |

Who waits for a person, a time or a callback has what he waits for: he is not stuck (trap 67). A timer that fired a moment ago
is there too: what it ordered may be on its way. Writes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from pydantic import ValidationError

from domain.effects.commands import find_fates
from domain.effects.effect import Outcome
from domain.onboarding.calls import call_id
from domain.onboarding.folded import from_json
from domain.onboarding.instance import Instance
from domain.onboarding.orders import (
    CALL_MISSING,
    OUTCOME_UNFOLDED,
    TASK_MISSING,
    TIMER_MISSING,
    ArmTimer,
    Lasting,
    OpenTask,
    RunStep,
    wanted,
)
from domain.onboarding.performing import timer_key
from domain.onboarding.waiting import is_waiting
from domain.onboarding.waiting import timer_key as answer_key
from domain.timers.commands import find_standing
from runtime.sql import Connection, load_queries

queries = load_queries(Path(__file__).with_name("stuck.sql"))

FIRST = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is there for some instances: calls by id with their outcomes, keys of timers, tasks by (instance, number)."""

    calls: Mapping[UUID, Outcome | None]
    timers: frozenset[str]
    tasks: frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Damage:
    """Why an instance is stuck. `unheard`: the outcome that it never got."""

    cause: str
    unheard: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the walk. `unreadable`: rows that are no instances. `upto` None: it was the last one."""

    looked_at: int
    stuck: Sequence[str]
    unreadable: Sequence[str]
    upto: str | None


def damage_of(instance: Instance, standing: Standing) -> Damage | None:
    """The first thing that is missing, calls before timers before tasks."""
    orders = wanted(instance).values()
    found = [damage for order in orders if (damage := _missing(instance, order, standing)) is not None]
    return min(found, key=lambda one: _ORDER.index(one.cause), default=None)


async def look(conn: Connection, tenant_id: str, after: str, size: int, grace: timedelta) -> Page:
    """A page of the instances that have not ended, without a lock: whoever is found is looked at again under one."""
    rows = await queries.list_live(conn, tenant_id=tenant_id, after=after, size=size)
    instances, unreadable = list[Instance](), list[str]()
    for row in rows:
        try:
            instances.append(from_json(row["folded"].encode()))
        except ValidationError:
            unreadable.append(row["instance_id"])
    standing = await load_standing(conn, tenant_id, instances, grace)
    stuck = [one.id for one in instances if damage_of(one, standing) is not None]
    return Page(len(rows), stuck, unreadable, rows[-1]["instance_id"] if len(rows) == size else None)


async def load_standing(conn: Connection, tenant_id: str, instances: Sequence[Instance], grace: timedelta) -> Standing:
    """What is there for these instances, among what they want."""
    orders = [(one, order) for one in instances for order in wanted(one).values()]
    calls = [call_id(tenant_id, one.id, order.step, order.attempt) for one, order in orders if isinstance(order, RunStep)]
    keys = [timer_key(one.id, order.name) for one, order in orders if isinstance(order, ArmTimer)]
    tasks = sorted({one.id for one, order in orders if isinstance(order, OpenTask)})
    fates = await find_fates(conn, tenant_id, calls) if calls else {}
    keys += [answer_key(str(id_)) for id_, outcome in fates.items() if outcome is not None and is_waiting(outcome)]
    return Standing(
        fates,
        frozenset(await find_standing(conn, tenant_id, keys, grace) if keys else ()),
        frozenset(
            (row["instance_id"], row["task"])
            for row in (await queries.find_tasks(conn, tenant_id=tenant_id, ids=tasks) if tasks else ())
        ),
    )


async def count_recoveries(conn: Connection, tenant_id: str) -> int:
    """A tenant's RECOVERY events of the last hour (S2, Monitor Recovery Rate)."""
    found: int = await queries.count_recoveries(conn, tenant_id=tenant_id)
    return found


def _missing(instance: Instance, order: Lasting, standing: Standing) -> Damage | None:
    match order:
        case RunStep():
            id_ = call_id(instance.tenant_id, instance.id, order.step, order.attempt)
            return _call_damage(id_, standing) if id_ in standing.calls else Damage(CALL_MISSING)
        case ArmTimer():
            return None if timer_key(instance.id, order.name) in standing.timers else Damage(TIMER_MISSING)
        case OpenTask():
            return None if (instance.id, order.task) in standing.tasks else Damage(TASK_MISSING)
        case _:
            # An incident that an operator closed is his decision.
            return None


def _call_damage(id_: UUID, standing: Standing) -> Damage | None:
    outcome = standing.calls[id_]
    if outcome is None:
        return None
    if not is_waiting(outcome):
        return Damage(OUTCOME_UNFOLDED, outcome)
    return None if answer_key(str(id_)) in standing.timers else Damage(TIMER_MISSING, outcome)


_ORDER = (CALL_MISSING, OUTCOME_UNFOLDED, TIMER_MISSING, TASK_MISSING)
