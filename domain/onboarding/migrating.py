"""Moving instances to another version of their flow (IN-13): page by page, each by its own decision, after a dry run.

    live instances of a version, by id -> the decider says what moving each would be -> (execute) the same command for the page

The dry run asks the very decider that would move them, without a lock and without writing. An instance that cannot go now (a
step is under way, it is being undone) is said with the reason, stays where it is, and is found again by the next run; one that
has moved is not. So an order that was cut short is given again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from domain.audit import append
from domain.onboarding import batch
from domain.onboarding.actors import actors_of_roles
from domain.onboarding.decisions import decide
from domain.onboarding.engine import Engine
from domain.onboarding.flow import Flow, FlowKey
from domain.onboarding.flows.migrating import Plan, plan
from domain.onboarding.folded import from_json
from domain.onboarding.instance import Instance
from domain.onboarding.turn import Context, Decided, Outcome
from runtime.ids import uuid7
from runtime.sql import Connection, load_queries
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.onboarding import MigrateInstance

queries = load_queries(Path(__file__).with_name("migrating.sql"))

PAGE = 100
# fits: a dry run, it would move. moved: it did. stays: it cannot go now, and why.
Result = Literal["fits", "moved", "stays"]


@dataclass(frozen=True, slots=True)
class Migration:
    """What is ordered. `states`: old name to new name, where they differ."""

    flow: str
    old: int
    new: int
    states: Mapping[str, str]
    reason: str

    def command(self, instance_id: str) -> MigrateInstance:
        return MigrateInstance(instance_id=instance_id, flow_version=self.new, states=dict(self.states), reason=self.reason)


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one instance, or would. `state`: where it is afterwards. `code`, `message`: why it stays."""

    instance_id: str
    result: Result
    state: str
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some instances, and the id behind which the next page begins; None: there is none."""

    moved: Sequence[Moved]
    next: str | None


async def plan_of(conn: Connection, engine: Engine, tenant_id: str, migration: Migration) -> Plan | Rejected:
    """State by state whether the versions fit. Refused: a version that the tenant does not have."""
    flows = await _flows(conn, engine, tenant_id, migration)
    if isinstance(flows, Rejected):
        return flows
    old, new = flows[migration.old], flows[migration.new]
    return plan(old.definition, new.definition, migration.states)


async def warm_page(
    conn: Connection, engine: Engine, tenant_id: str, migration: Migration, *, after: str | None = None, size: int = PAGE
) -> None:
    """Let the ring fetch the keys that the reasons of a page are sealed with, before there is a transaction that waits."""
    found, _ = await _page(conn, tenant_id, migration, after, size)
    await engine.keys.current(sorted({(tenant_id, one.user_id) for one in found}))


async def try_page(
    conn: Connection, engine: Engine, caller: Caller, migration: Migration, *, after: str | None = None, size: int = PAGE
) -> Page | Rejected:
    """What moving the next instances would be; nothing is written."""
    flows = await _flows(conn, engine, caller.tenant_id, migration)
    if isinstance(flows, Rejected):
        return flows
    known = {flow.key: flow for flow in flows.values()}
    instances, following = await _page(conn, caller.tenant_id, migration, after, size)
    now: datetime = await queries.read_clock(conn)
    context = Context(caller.tenant_id, caller.user_id, actors_of_roles(caller.roles), now, 0.5)
    return Page([_told(one, decide(known, one, migration.command(one.id), context), "fits") for one in instances], following)


async def move_page(
    conn: Connection, engine: Engine, caller: Caller, migration: Migration, *, after: str | None = None, size: int = PAGE
) -> Page | Rejected:
    """Move the next instances, all in the caller's transaction; the audit log says how many."""
    flows = await _flows(conn, engine, caller.tenant_id, migration)
    if isinstance(flows, Rejected):
        return flows
    found, following = await _page(conn, caller.tenant_id, migration, after, size)
    messages = [
        batch.Message(caller.tenant_id, migration.command(one.id), caller.user_id, actors_of_roles(caller.roles), str(uuid7()))
        for one in found
    ]
    states = await batch.load(conn, engine, messages)
    now: datetime = await queries.read_clock(conn)
    rulings = [batch.decide(states[message.key], message, now) for message in messages]
    await batch.save(conn, engine, rulings, now)
    moved = [_told(one, ruling.outcome, "moved") for one, ruling in zip(found, rulings, strict=True)]
    await _audit(conn, caller, migration, moved)
    return Page(moved, following)


async def _flows(conn: Connection, engine: Engine, tenant_id: str, migration: Migration) -> dict[int, Flow] | Rejected:
    wanted = {version: (tenant_id, FlowKey(migration.flow, version)) for version in (migration.old, migration.new)}
    known = await engine.flows.read(conn, set(wanted.values()))
    for version, key in wanted.items():
        if key not in known:
            message = f"migrate {migration.flow}: the tenant has no version {version}"
            return Rejected("UnknownFlow", message, {"version": version})
    return {version: known[key] for version, key in wanted.items()}


async def _page(
    conn: Connection, tenant_id: str, migration: Migration, after: str | None, size: int
) -> tuple[list[Instance], str | None]:
    rows = await queries.list_live_of_version(
        conn, tenant_id=tenant_id, flow=migration.flow, flow_version=migration.old, after=after, size=size + 1
    )
    found = [from_json(row["folded"].encode()) for row in rows[:size]]
    return found, found[-1].id if len(rows) > size else None


def _told(instance: Instance, outcome: Outcome, result: Result) -> Moved:
    if isinstance(outcome, Rejected):
        return Moved(instance.id, "stays", instance.state, outcome.code, outcome.message)
    if not isinstance(outcome, Decided):
        return Moved(instance.id, "stays", outcome.instance.state, "Unchanged", outcome.reason)
    return Moved(instance.id, result, outcome.instance.state)


async def _audit(conn: Connection, caller: Caller, migration: Migration, moved: Sequence[Moved]) -> None:
    counts = Counter(one.result for one in moved)
    if counts["moved"]:
        await append(
            conn,
            tenant_id=caller.tenant_id,
            actor=caller.user_id,
            action="onboarding.migrate",
            object_type="onboarding-flow",
            object_id=migration.flow,
            detail={"from": migration.old, "to": migration.new, "moved": counts["moved"], "stay": counts["stays"]},
        )
