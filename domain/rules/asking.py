"""What a rule would do, or why it did what it did, asked of the database. The caller's transaction is read only (trap 42)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain.entities.candidates import candidates
from domain.entities.kinds import sensitive_fields
from domain.rules import reads, store, trying
from domain.rules.change import Change
from domain.rules.compiling import CompiledRule, compile_rule
from domain.rules.explaining import explain, explain_stored
from domain.rules.known_names import calendar_of
from domain.rules.problems import Language
from domain.rules.sought import Told
from domain.rules.store import RuleVersion, StoredRule
from domain.rules.trying import Surroundings, Trial
from domain.rules.verdicts import Verdict, verdict_of, verdict_of_run
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
    conn: Connection,
    stored: StoredRule,
    change: Change,
    *,
    version: int | None,
    source: str | None,
    event_id: str | None,
    sent_at: datetime | None = None,
) -> Answer:
    """Answered with the version that was asked, or else the one that ran, or else the one of the event's time.

    `sent_at`: when the event was sent; left out, when it says it happened.
    """
    at, versions = sent_at or change.occurred_at, await store.list_versions(conn, stored.tenant_id, stored.id)
    change = replace(change, entity_type=stored.definition.entity_type)
    run = await reads.run_of_event(conn, stored.id, change, source, event_id)
    asked = run["rule_version"] if version is None and run is not None else version
    told = next((one for one in versions if _is_asked(one, asked, at)), versions[-1])
    trial = await trial_of(conn, await _compiled(conn, stored, told), change, at)
    return Answer(trial, told, run["id"] if run is not None else None, verdict_of(trial, told, at, run))


async def why_named(conn: Connection, stored: StoredRule, event: Told, *, version: int | None) -> Answer:
    """The same of an event as it was published, judged by when it was sent."""
    named = {"source": event.source, "event_id": event.change.event_id}
    return await why(conn, stored, event.change, version=version, sent_at=event.sent_at, **named)


async def why_run(conn: Connection, stored: StoredRule, run: Mapping[str, Any], language: Language) -> Mapping[str, Any]:
    """What a run says of itself: its stored trace in words. Nothing is judged again."""
    told = await store.find_version(conn, stored.tenant_id, stored.id, run["rule_version"])
    assert told is not None, "versions are never deleted"
    verdict = verdict_of_run(run) or Verdict("conditions")
    trace = json.loads(run["trace"]) if run["trace"] else None
    words = [verdict.sentence(language)]
    if trace is not None:
        sensitive = await sensitive_fields(conn, stored.tenant_id, run["entity_type"])
        words = explain_stored(await _compiled(conn, stored, told), trace, language, hides=sensitive.hides)
    output = json.loads(run["output_data"])["actions"] if run["output_data"] else []
    return {
        "entityId": run["entity_id"],
        "fires": verdict.code == "ran",
        "triggered": True,
        "explanation": words,
        "trace": trace or {},
        "actions": [{"type": one["type"], "code": one["code"] or None} for one in output],
        "verdict": verdict.sentence(language),
        "version": told.version,
        "runId": run["id"],
    }


def answer_row(answer: Answer, change: Change, language: Language) -> Mapping[str, Any]:
    """For answers."""
    return {
        **trial_row(answer.trial, change, language),
        "verdict": answer.verdict.sentence(language),
        "version": answer.version.version,
        "runId": answer.run_id,
    }


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


async def _compiled(conn: Connection, stored: StoredRule, told: RuleVersion) -> CompiledRule:
    zone = (await calendar_of(conn, stored.tenant_id)).zone
    return compile_rule(stored.tenant_id, stored.id, told.version, told.definition, zone=zone)


def _is_asked(version: RuleVersion, asked: int | None, at: datetime) -> bool:
    return version.version == asked if asked is not None else version.created_at <= at
