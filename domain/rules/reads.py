"""Runs and rules as people ask for them; nothing is changed here, save by `cancel_run`. SQL in store.sql."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from domain.effects.commands import cancel
from domain.entities.kinds import sensitive_fields
from domain.outbox import Outbox
from domain.rules import run_store
from domain.rules.change import Change
from domain.rules.commands import MAY_EDIT
from domain.rules.compiling import CompiledRule, compile_rule
from domain.rules.folding import finished_event
from domain.rules.known_names import calendar_of
from domain.rules.runs import FINAL, Result, settle
from domain.rules.runs import cancel as cancel_waiting
from domain.rules.starting import OWNER, event_occurrence, run_id_of
from domain.rules.store import StoredRule
from domain.rules.tracing import hidden_again
from runtime.sql import Connection, load_queries
from schemas.caller import Caller
from schemas.errors import Rejected
from schemas.rules import RuleDefinition

queries = load_queries(__file__, "store.sql")


async def list_runs(
    conn: Connection, tenant_id: str, rule_id: str, *, status: str | None, page: int, size: int
) -> tuple[Sequence[Mapping[str, Any]], int]:
    """A page of a rule's runs, from 1, the newest first, and how many there are."""
    rows = await queries.list_logs(conn, tenant_id=tenant_id, rule_id=rule_id, status=status, size=size, skip=(page - 1) * size)
    return rows, rows[0]["total"] if rows else 0


async def find_run(conn: Connection, tenant_id: str, rule_id: str, run_id: str) -> Mapping[str, Any] | None:
    """One run; its trace without the values of fields that are sensitive by now."""
    row: Mapping[str, Any] | None = await queries.find_log(conn, tenant_id=tenant_id, rule_id=rule_id, id=run_id)
    if row is None or row["trace"] is None:
        return row
    sensitive = await sensitive_fields(conn, tenant_id, row["entity_type"])
    trace = hidden_again(json.loads(row["trace"]), sensitive.hides)
    return {**row, "trace": json.dumps(trace, ensure_ascii=False)}


async def all_definitions(conn: Connection, tenant_id: str) -> dict[str, RuleDefinition]:
    """Every rule of the tenant that is not removed, by id."""
    rows = await queries.list_definitions(conn, tenant_id=tenant_id)
    return {row["id"]: RuleDefinition.model_validate_json(row["definition"]) for row in rows}


async def compiled(conn: Connection, rule: StoredRule, definition: RuleDefinition | None = None) -> CompiledRule:
    """The rule, or another version of it, ready to look at a change. Raises RuleBroken."""
    calendar = await calendar_of(conn, rule.tenant_id)
    return compile_rule(rule.tenant_id, rule.id, rule.version, definition or rule.definition, zone=calendar.zone)


async def run_of_event(
    conn: Connection, rule_id: str, change: Change, source: str | None, event_id: str | None
) -> Mapping[str, Any] | None:
    """The run that the rule made of this event, or the row that says why it was held back; None without either."""
    if source is None or event_id is None:
        return None
    run_id = run_id_of(rule_id, change, event_occurrence(source, event_id))
    return await find_run(conn, change.tenant_id, rule_id, str(run_id))


async def cancel_run(
    conn: Connection, outbox: Outbox, caller: Caller, rule_id: str, run_id: str, now: datetime
) -> Mapping[str, Any] | Rejected:
    """What of a run has not begun never will (RU-12); calls in flight go on. The run as it is afterwards."""
    if MAY_EDIT.isdisjoint(caller.roles):
        return Rejected("PermissionDenied", f"Cancelling a run needs one of the roles {', '.join(sorted(MAY_EDIT))}.")
    key = (caller.tenant_id, run_id)
    stored = (await run_store.lock_runs(conn, [key])).get(key)
    if stored is None or stored.rule_id != rule_id:
        return Rejected("RunNotFound", f"There is no run {run_id} of this rule.")
    if stored.status in FINAL:
        return Rejected("RunIsOver", f"The run ended with {stored.status}: there is nothing to cancel.")
    run = cancel_waiting(stored.run).run
    outcomes = await cancel(conn, [(caller.tenant_id, OWNER, run_id)])
    run = settle(run, {outcome.index: Result("CANCELLED", outcome.code) for outcome in outcomes}).run
    await run_store.save_runs(conn, [(stored, run)], now)
    await outbox.append(conn, [finished_event(stored, run, now)] if run.status in FINAL else [])
    after = await find_run(conn, caller.tenant_id, rule_id, run_id)
    assert after is not None, "it is locked in this transaction"
    return after
