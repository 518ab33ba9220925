"""What a rule would do, or why it did what it did, asked of the database. The caller's transaction is read only (trap 42)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain.entities.candidates import candidates
from domain.entities.kinds import sensitive_fields
from domain.rules import reads, store, trying
from domain.rules.change import Change
from domain.rules.compiling import CompiledRule, compile_rule
from domain.rules.explaining import explain
from domain.rules.known_names import calendar_of
from domain.rules.problems import Language
from domain.rules.store import RuleVersion, StoredRule
from domain.rules.trying import Surroundings, Trial
from domain.rules.verdicts import Verdict, verdict_of
from domain.rules.wordings import read_wordings
from runtime.sql import Connection


@dataclass(frozen=True, slots=True)
class Answer:
    """How the version of that time looked at the change, and what decided."""

    trial: Trial
    version: RuleVersion
    run_id: str | None
    verdict: Verdict


async def trials_of(conn: Connection, rule: CompiledRule, changes: Iterable[Change], now: datetime) -> list[Trial]:
    """The rule tried on each change; what it needs is looked up once."""
    surroundings = Surroundings(
        await calendar_of(conn, rule.tenant_id),
        (await read_wordings(conn, [rule])).get(rule.tenant_id, {}),
        await sensitive_fields(conn, rule.tenant_id, rule.definition.entity_type),
    )
    return [trying.try_rule(rule, change, now, surroundings) for change in changes]


async def trial_of(conn: Connection, rule: CompiledRule, change: Change, now: datetime) -> Trial:
    """The rule tried on one change."""
    (trial,) = await trials_of(conn, rule, [change], now)
    return trial


async def as_they_are(conn: Connection, rule: CompiledRule, now: datetime, most: int) -> list[Change]:
    """The rule's entities, as if each were updated now."""
    told = rule.definition
    page = await candidates(conn, rule.tenant_id, told.entity_type, told.inactive_for_days, limit=most)
    return [
        Change(rule.tenant_id, told.entity_type, one.entity_id, "UPDATE", None, one.values, (), "API", (), now)
        for one in page.entities
    ]


async def why(
    conn: Connection, stored: StoredRule, change: Change, *, version: int | None, source: str | None, event_id: str | None
) -> Answer:
    """Answered with the version that was asked, or else the one of the event's time."""
    at, versions = change.occurred_at, await store.list_versions(conn, stored.tenant_id, stored.id)
    told = next((one for one in versions if _is_asked(one, version, at)), versions[-1])
    zone = (await calendar_of(conn, stored.tenant_id)).zone
    rule = compile_rule(stored.tenant_id, stored.id, told.version, told.definition, zone=zone)
    change = replace(change, entity_type=told.definition.entity_type)
    trial = await trial_of(conn, rule, change, at)
    run_id = await reads.run_of_event(conn, rule, change, source, event_id)
    return Answer(trial, told, run_id, verdict_of(trial, told, at, ran=run_id is not None))


def trial_row(trial: Trial, change: Change, language: Language) -> Mapping[str, Any]:
    """For answers; values of sensitive fields are left out."""
    hides = trial.sensitive.hides
    return {
        "entityId": change.entity_id,
        "fires": trial.fires,
        "triggered": trial.triggered,
        "explanation": explain(trial.trace, language, hides=hides),
        "trace": trial.trace.as_json(hides),
        "actions": [trying.action_row(action) for action in trial.actions],
    }


def _is_asked(version: RuleVersion, asked: int | None, at: datetime) -> bool:
    return version.version == asked if asked is not None else version.created_at <= at
