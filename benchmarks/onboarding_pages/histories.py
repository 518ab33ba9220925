"""Histories of three shapes, in one database: they are decided by the engine and copied into its tables.

one    one instance of a million events, with every attempt of its steps
many   so many ended instances of 74 events that they have a million together, and as many incidents as a bad day brings
deep   one instance that remembers much: each step of it has a compensation, so its folded row holds all of them
"""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import asyncpg

from benchmarks.onboarding import ground
from domain.onboarding.attempt_rows import attempt_rows
from domain.onboarding.decisions import decide
from domain.onboarding.flow import flows_of
from domain.onboarding.folded import as_json
from domain.onboarding.history import Recorded, cause_document, recorded
from domain.onboarding.instance import Instance
from domain.onboarding.turn import Context, Decided
from runtime.ids import uuid7
from schemas.flows import FlowDefinition
from schemas.onboarding import Command, StartInstance, StepSucceeded

TENANT = "acme"
DEEP = FlowDefinition.model_validate(
    {
        "flow": "deep",
        "version": 1,
        "initial": "S0",
        "states": [{"name": "S0"}, {"name": "S1"}, {"name": "S2", "end": "completed"}],
        "transitions": [
            {"from": "S0", "action": "NEXT", "to": "S1", "actors": ["SYSTEM"], "handler": "work", "compensation": "UNDO"},
            {"from": "S1", "action": "NEXT", "to": "S0", "actors": ["SYSTEM"], "handler": "work", "compensation": "UNDO",
             "outcomes": {"END": "S2"}},
        ],
        "handlers": [{"name": "work"}, {"name": "UNDO"}],
    }
)  # fmt: skip
FLOWS = {**ground.FLOWS, **flows_of(DEEP)}
_PORTION = 20_000


async def fill(owner: asyncpg.Connection, events: int) -> dict[str, int]:
    """So many events of each shape but `deep`, which has 2,000 steps; how many instances and events there are."""
    await owner.execute("insert into tenants (tenant_id, name) values ($1, 'Acme'), ('other', 'Other')", TENANT)
    for flow in (ground.LOOP, ground.TEN, DEEP):
        text = json.dumps(flow.as_document())
        await owner.execute(
            "insert into flw_int_def (tenant_id, flow, version, definition, created_by) values ($1, $2, 1, $3, 'bench')",
            TENANT, flow.flow, text,
        )  # fmt: skip
    await _one_instance(owner, "one", "loop", events)
    await _one_instance(owner, "deep", "deep", 8_000)
    count = await _many(owner, events)
    await _incidents(owner, 20_000)
    await owner.execute("vacuum analyze")
    told = {name: await owner.fetchval(f"select count(*) from {name}") for name in ("workflow_event", "step_execution")}
    return {"instances": count + 2, **told}


async def _one_instance(owner: asyncpg.Connection, name: str, flow: str, events: int) -> None:
    start = StartInstance(instance_id=name, flow=flow, flow_version=1, user_id="ann")
    instance, history = _decided(None, start, 0)
    portion = list(history)
    version = len(portion)
    while version < events:
        step = StepSucceeded(instance_id=name, step=str(instance.step_count), attempt=1, effect_id="e")
        instance, history = _decided(instance, step, version)
        version += len(history)
        portion += history
        if len(portion) >= _PORTION:
            await _copy(owner, name, portion)
            portion = []
    await _copy(owner, name, portion)
    await _row(owner, instance)


def _decided(instance: Instance | None, command: Command, version: int) -> tuple[Instance, list[Recorded]]:
    now = ground.NOW + timedelta(milliseconds=version)
    context = Context(TENANT, "engine", frozenset({"SYSTEM"}), now)
    outcome = decide(FLOWS, instance, command, context)
    assert isinstance(outcome, Decided)
    return outcome.instance, recorded(outcome.events, version, command, context)


async def _copy(owner: asyncpg.Connection, name: str, history: Sequence[Recorded]) -> None:
    columns = ("tenant_id", "instance_id", "sequence_number", "event_type", "payload", "cause", "created_at")
    await owner.copy_records_to_table("workflow_event", records=_event_rows(name, history), columns=columns)
    begun, ended = attempt_rows(TENANT, name, history)
    shape = "jsonb_populate_recordset(null::step_execution, $1::jsonb)"
    await owner.execute(f"insert into step_execution select * from {shape}", json.dumps(begun))
    await owner.execute(
        f"update step_execution x set status = s.status, result = s.result, ended_at = s.ended_at from {shape} s"
        " where (x.tenant_id, x.instance_id, x.step, x.attempt) = (s.tenant_id, s.instance_id, s.step, s.attempt)",
        json.dumps(ended),
    )


def _event_rows(name: str, history: Iterable[Recorded]) -> list[tuple[Any, ...]]:
    return [
        (
            TENANT,
            name,
            row.number,
            row.event.TYPE,
            row.event.model_dump_json(by_alias=True, exclude_defaults=True),
            json.dumps(cause_document(row.cause)) if row.cause else None,
            getattr(row.event, "at", None) or ground.NOW,
        )
        for row in history
    ]


async def _row(owner: asyncpg.Connection, instance: Instance) -> None:
    await owner.execute(
        "insert into onboarding_instance (tenant_id, instance_id, flow, flow_version, user_id, status, current_state, version,"
        " folded, started_at, entered_at, ended_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        instance.tenant_id, instance.id, instance.flow, instance.flow_version, instance.user_id, instance.status,
        instance.state, instance.version, as_json(instance).decode(), instance.started_at, instance.entered_at,
        instance.ended_at,
    )  # fmt: skip


async def _many(owner: asyncpg.Connection, events: int) -> int:
    """One life, and copies of it under other ids: every hundredth is still under way."""
    life = ground.lived("i-0")
    await _copy(owner, "i-0", life)
    folded = ground.fold_of(life)
    await _row(owner, folded)
    count = events // len(life)
    for table, others in (
        ("workflow_event", "sequence_number, event_type, payload, data, cause, created_at"),
        ("step_execution", "step, attempt, state, action, handler, undoes, status, code, result, due_at, started_at, ended_at"),
    ):
        await owner.execute(
            f"insert into {table} (tenant_id, instance_id, {others}) select tenant_id, 'i-' || n, {others} from {table},"
            f" generate_series(1, {count}) n where tenant_id = '{TENANT}' and instance_id = 'i-0'"
        )
    await owner.execute(
        "insert into onboarding_instance (tenant_id, instance_id, flow, flow_version, user_id, status, current_state, version,"
        " folded, started_at, entered_at, ended_at)"
        " select tenant_id, 'i-' || n, flow, flow_version, 'user-' || n, case when n % 100 = 0 then 'ACTIVE' else status end,"
        " case when n % 100 = 0 then 'S' || n / 100 % 10 else current_state end, version, replace(folded, 'i-0', 'i-' || n),"
        " cs_now() - n * interval '10 seconds', cs_now() - n * interval '9 seconds',"
        " case when n % 100 <> 0 then cs_now() - n * interval '8 seconds' end"
        f" from onboarding_instance, generate_series(1, {count}) n where tenant_id = '{TENANT}' and instance_id = 'i-0'"
    )
    return count + 1


async def _incidents(owner: asyncpg.Connection, count: int) -> None:
    await owner.executemany(
        "insert into incidents (tenant_id, incident_id, kind, fingerprint, object_type, object_id, summary, first_seen,"
        " last_seen) values ($1, $2, 'step-failed', $3, 'onboarding', $4, 's', cs_now() - $5 * interval '1 second',"
        " cs_now() - $5 * interval '1 second')",
        [(TENANT, uuid7(), f"ten-steps|work-{n % 20}", f"i-{n}", n * 10) for n in range(count)],
    )
