"""Runs as rows of workflow_execution_logs, and what else a run writes: guards and statistics. SQL in runs.sql."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.entities.entity import EntityKind
from domain.entities.kinds import KindKey, find_kinds
from domain.rules.admission import Guard
from domain.rules.runs import FINAL, ActionState, Run
from domain.rules.sampling import Sample
from domain.rules.starting import Held, Match, NewRun
from runtime.sql import Connection, load_queries
from schemas.rules import ActionType, ExecutionStatus

queries = load_queries(__file__, "runs.sql")

# Tenant, rule, entity.
GuardKey = tuple[str, str, str]
RunKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run that exists, locked, as its outcomes need it."""

    tenant_id: str
    id: str
    rule_id: str
    rule_version: int
    rule_name: str
    entity_type: str
    entity_id: str
    trigger_type: str
    started_at: datetime
    run: Run
    status: ExecutionStatus


def guard_key(match: Match) -> GuardKey:
    return (match.change.tenant_id, match.rule.rule_id, match.entity_key)


async def existing_runs(conn: Connection, matches: Iterable[Match]) -> set[RunKey]:
    """Which of these runs exist already."""
    keys = sorted({(match.change.tenant_id, str(match.run_id)) for match in matches})
    if not keys:
        return set()
    rows = await queries.find_runs(conn, tenant_ids=[key[0] for key in keys], ids=[key[1] for key in keys])
    return {(row["tenant_id"], row["id"]) for row in rows}


async def lock_guards(conn: Connection, wanted: Iterable[GuardKey]) -> dict[GuardKey, Guard]:
    """The guards of these rules and entities, locked in one order; a new one is empty."""
    keys = sorted(set(wanted))
    if not keys:
        return {}
    rows = await queries.lock_guards(conn, **_guard_columns(keys))
    return {
        (row["tenant_id"], row["rule_id"], row["entity_key"]): Guard(
            row["executions"], row["window_started"], row["window_runs"]
        )
        for row in rows
    }


async def save_guards(conn: Connection, guards: Mapping[GuardKey, Guard]) -> None:
    keys = sorted(guards)
    if keys:
        await queries.save_guards(
            conn,
            **_guard_columns(keys),
            executions=[guards[key].executions for key in keys],
            window_started=[guards[key].window_started for key in keys],
            window_runs=[guards[key].window_runs for key in keys],
        )


async def insert_runs(conn: Connection, runs: Sequence[NewRun]) -> None:
    """Write new runs and count them in their rules' statistics; what is over already counts as ended too."""
    if runs:
        kinds = await _kinds_of(conn, [run.match for run in runs])
        began = [(run.match.change.tenant_id, run.match.rule.rule_id, 1, run.run.status, 1) for run in runs]
        await queries.insert_runs(conn, runs=json.dumps([_new_row(run, kinds) for run in runs]), deltas=_deltas(began))


async def insert_held(conn: Connection, held: Sequence[Held]) -> None:
    """Rows of rules that matched and were held back: SKIPPED, with the reason, counted nowhere."""
    kinds = await _kinds_of(conn, [one.match for one in held])
    await _insert_skipped(conn, [_skipped_row(one.match, one.at, one.refused.reason, kinds) for one in held])


async def insert_samples(conn: Connection, samples: Sequence[Sample]) -> None:
    """Rows of rules that did not match, under ids of their own: they keep no run from ever beginning."""
    kinds = await _kinds_of(conn, [one.match for one in samples])
    rows = [{**_skipped_row(one.match, one.at, one.why, kinds), "id": str(one.id), "sampled": True} for one in samples]
    await _insert_skipped(conn, rows)


async def lock_runs(conn: Connection, keys: Iterable[RunKey]) -> dict[RunKey, StoredRun]:
    """These runs as they are, locked in one order."""
    wanted = sorted(set(keys))
    rows = await queries.lock_runs(conn, tenant_ids=[key[0] for key in wanted], ids=[key[1] for key in wanted])
    return {(row["tenant_id"], row["id"]): _stored(row) for row in rows}


async def hold_runs(conn: Connection, keys: Sequence[RunKey]) -> None:
    """Lock these runs before any of their effects (the owner lock of effects)."""
    await queries.hold_runs(conn, tenant_ids=[key[0] for key in keys], ids=[key[1] for key in keys])


async def save_runs(conn: Connection, runs: Sequence[tuple[StoredRun, Run]], now: datetime) -> None:
    """Write locked runs one step on, and the statistics of those that ended."""
    if not runs:
        return
    rows = [{"tenant_id": stored.tenant_id, "id": stored.id, **_progress(run, now)} for stored, run in runs]
    ended = [(stored.tenant_id, stored.rule_id, 0, run.status, 1) for stored, run in runs if run.status in FINAL]
    # An operator's retry ends a run that had ended already: the former outcome counts no more.
    mended = [(stored.tenant_id, stored.rule_id, 0, stored.status, -1) for stored, run in runs if stored.status in FINAL]
    await queries.save_runs(conn, runs=json.dumps(rows), deltas=_deltas([*ended, *mended]))


def _deltas(counts: Iterable[tuple[str, str, int, ExecutionStatus, int]]) -> str:
    """What runs, as (tenant, rule, executions, status, times), append to the statistics: one row per rule (trap 29)."""
    sums: dict[tuple[str, str], list[int]] = {}
    for tenant, rule, executions, status, times in counts:
        row = sums.setdefault((tenant, rule), [0, 0, 0])
        row[0] += executions
        row[1] += times * (status is ExecutionStatus.SUCCESS)
        row[2] += times * (status in (ExecutionStatus.FAILED, ExecutionStatus.PARTIAL_SUCCESS))
    names = ("tenant_id", "rule_id", "executions", "successes", "failures")
    return json.dumps(
        [dict(zip(names, (*key, *numbers), strict=True)) for key, numbers in sorted(sums.items()) if any(numbers)]
    )


async def chains_of(conn: Connection, keys: Iterable[RunKey]) -> dict[RunKey, tuple[str, tuple[str, ...]]]:
    """Of these runs, the rule and the chain that led to it."""
    wanted = sorted(set(keys))
    rows = await queries.list_chains(conn, tenant_ids=[key[0] for key in wanted], ids=[key[1] for key in wanted])
    return {(row["tenant_id"], row["id"]): (row["rule_id"], tuple(row["causation"])) for row in rows}


def _guard_columns(keys: Sequence[GuardKey]) -> dict[str, list[str]]:
    return dict(zip(("tenant_ids", "rule_ids", "entity_keys"), map(list, zip(*keys, strict=True)), strict=True))


Kinds = Mapping[KindKey, EntityKind]


async def _kinds_of(conn: Connection, matches: Sequence[Match]) -> Kinds:
    """The entity types, which say what no trace may hold."""
    if not matches:
        return {}
    return await find_kinds(conn, {(match.change.tenant_id, match.change.entity_type) for match in matches})


async def _insert_skipped(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        await queries.insert_runs(conn, runs=json.dumps(rows), deltas="[]")


def _new_row(new: NewRun, kinds: Kinds) -> dict[str, Any]:
    return {
        **_told_of(new.match, new.started_at, kinds),
        "actions_total": len(new.run.actions),
        **_progress(new.run, new.started_at),
    }


def _skipped_row(match: Match, at: datetime, why: str, kinds: Kinds) -> dict[str, Any]:
    ended = {"status": ExecutionStatus.SKIPPED, "completed_at": at.isoformat(), "error_message": why}
    counts = dict.fromkeys(("actions_total", "actions_completed", "actions_failed", "actions_skipped"), 0)
    return {**_told_of(match, at, kinds), **ended, **counts}


def _told_of(match: Match, started_at: datetime, kinds: Kinds) -> dict[str, Any]:
    change, rule = match.change, match.rule
    hides = kinds[change.tenant_id, change.entity_type].sensitive.hides
    trace = rule.trace(change, match.sent_at).as_json(hides)
    return {
        "tenant_id": change.tenant_id,
        "id": str(match.run_id),
        "rule_id": rule.rule_id,
        "rule_version": rule.version,
        "rule_name": rule.definition.name,
        "entity_type": change.entity_type,
        "entity_id": change.entity_id,
        "subject_id": match.subject_id,
        "trigger_type": match.trigger,
        "occurrence": match.occurrence,
        "started_at": started_at.isoformat(),
        "input_data": json.dumps({"eventId": change.event_id, "changeType": change.change_type}),
        "trace": json.dumps(trace, ensure_ascii=False, default=str),
        "causation": list(change.causation),
    }


def _progress(run: Run, now: datetime) -> dict[str, Any]:
    failed = [f"action {index}: {one.code or 'failed'}" for index, one in enumerate(run.actions) if one.status == "FAILED"]
    return {
        "status": run.status,
        "completed_at": now.isoformat() if run.status in FINAL else None,
        "output_data": json.dumps({"actions": [_action_row(one) for one in run.actions], "cancelled": run.cancelled}),
        "error_message": "; ".join(failed)[:2_000] or None,
        "actions_completed": run.count("SUCCESS"),
        "actions_failed": run.count("FAILED"),
        "actions_skipped": run.count("SKIPPED", "CANCELLED"),
    }


def _action_row(action: ActionState) -> dict[str, Any]:
    return {
        "type": action.type,
        "status": action.status,
        "code": action.code,
        "stopOnFailure": action.stop_on_failure,
        "isAsync": action.is_async,
        "delaySeconds": action.delay_seconds,
    }


def _stored(row: Mapping[str, Any]) -> StoredRun:
    names = (
        "tenant_id",
        "id",
        "rule_id",
        "rule_version",
        "rule_name",
        "entity_type",
        "entity_id",
        "trigger_type",
        "started_at",
    )
    written = json.loads(row["output_data"])
    actions = tuple(
        ActionState(
            ActionType(one["type"]), one["stopOnFailure"], one["isAsync"], one["delaySeconds"], one["status"], one["code"]
        )
        for one in written["actions"]
    )
    run = Run(actions, written["cancelled"])
    return StoredRun(**{name: row[name] for name in names}, run=run, status=ExecutionStatus(row["status"]))
