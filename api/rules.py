"""Rules over HTTP under the documents' paths (RU-14): the rules themselves, their versions and runs, and what they would do.

Trials run in a read-only transaction: nothing that they touch can be written, whatever the code does (trap 42).
"""

import json
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from api import answers
from api.conditions import etag, if_match, require_if_match
from api.door import DoorRequest, json_answer
from api.problems import Problem
from api.rule_inputs import (
    AcceptLanguage,
    ExplainBody,
    IsActive,
    OfEntityType,
    OfStatus,
    Page,
    RuleBody,
    RuleId,
    RunId,
    SimulateBody,
    Size,
    TrialBody,
    TriedChange,
    WhyBody,
)
from api.views import view_of
from domain.rules import asking, commands, graph, reads, store
from domain.rules.change import Change
from domain.rules.commands import Saved, Wish, as_document, problem_row
from domain.rules.compiling import compile_rule
from domain.rules.conditions import read_conditions
from domain.rules.known_names import calendar_of
from domain.rules.problems import Language, errors
from domain.rules.showing import shown
from domain.rules.store import StoredRule
from runtime.sql import Connection
from schemas.errors import Rejected
from schemas.rules import RuleDefinition

_EXAMPLES = 20


async def list_rules(
    request: DoorRequest, page: Page = 1, size: Size = 20, entity_type: OfEntityType = None, is_active: IsActive = None
) -> Response:
    """The tenant's rules in the order in which they run."""

    async def effect(conn: Connection) -> Response:
        tenant = request.principal.tenant_id
        rules, total = await store.list_rules(conn, tenant, entity_type=entity_type, is_active=is_active, page=page, size=size)
        items = [_rule_view(rule, "en") for rule in rules]
        return json_answer({"items": items, "page": page, "size": size, "total": total})

    return await request.in_transaction(effect)


async def create_rule(request: DoorRequest, body: RuleBody, accept_language: AcceptLanguage = None) -> Response:
    """Save a new rule. Every problem is told at once with its place, and then nothing is saved."""
    wish = _wish(body.reason, accept_language)

    async def effect(conn: Connection) -> Response:
        most = request.door.settings.rules.most_per_tenant
        outcome = await commands.create_rule(conn, request.caller(), body.rule, wish, most=most)
        location = {"Location": f"/api/v1/workflows/{outcome.rule.id}"} if isinstance(outcome, Saved) else {}
        return _saved(request, outcome, wish.language, None, status=201, headers=location)

    return await request.in_transaction(effect, key_required=False)


async def get_rule(request: DoorRequest, rule_id: RuleId) -> Response:
    """One rule with its statistics."""
    return await _with_rule(request, rule_id, _shown_rule)


async def replace_rule(
    request: DoorRequest, rule_id: RuleId, body: RuleBody, accept_language: AcceptLanguage = None
) -> Response:
    """Another version of the rule. Runs that began under an older one go on as they began."""
    expected, wish = require_if_match(request), _wish(body.reason, accept_language)

    async def effect(conn: Connection) -> Response:
        outcome = await commands.replace_rule(conn, request.caller(), str(rule_id), body.rule, wish, expected)
        return _saved(request, outcome, wish.language, expected)

    return await request.in_transaction(effect)


async def remove_rule(request: DoorRequest, rule_id: RuleId) -> Response:
    """The rule fires no more and is listed no more; its versions and its runs stay."""
    expected = if_match(request)

    async def effect(conn: Connection) -> Response:
        refused = await commands.remove_rule(conn, request.caller(), str(rule_id), Wish(), expected)
        return request.refuse(refused, if_match=expected) if refused else Response(status_code=204)

    return await request.in_transaction(effect)


async def activate_rule(
    request: DoorRequest, rule_id: RuleId, body: WhyBody, accept_language: AcceptLanguage = None
) -> Response:
    """Switch the rule on. It is checked anew: what it names may be gone."""
    return await _switch(request, rule_id, _wish(body.reason, accept_language), active=True)


async def deactivate_rule(request: DoorRequest, rule_id: RuleId, body: WhyBody) -> Response:
    """Switch the rule off. Runs that have begun go on."""
    return await _switch(request, rule_id, _wish(body.reason, None), active=False)


async def list_rule_versions(request: DoorRequest, rule_id: RuleId) -> Response:
    """Every version, newest first, with author and reason; of a removed rule too."""

    async def effect(conn: Connection) -> Response:
        versions = await store.list_versions(conn, request.principal.tenant_id, str(rule_id))
        if not versions:
            return request.refuse(commands.not_found(str(rule_id)))
        return json_answer({"items": [_version_view(version) for version in versions]})

    return await request.in_transaction(effect)


async def list_runs(
    request: DoorRequest, rule_id: RuleId, page: Page = 1, size: Size = 50, status: OfStatus = None
) -> Response:
    """The rule's runs, newest first."""

    async def answer(conn: Connection, rule: StoredRule) -> Response:
        rows, total = await reads.list_runs(conn, rule.tenant_id, rule.id, status=status, page=page, size=size)
        return json_answer({"items": [_run_view(row) for row in rows], "page": page, "size": size, "total": total})

    return await _with_rule(request, rule_id, answer)


async def get_run(request: DoorRequest, rule_id: RuleId, run_id: RunId) -> Response:
    """One run: what each condition saw, and what became of each action."""

    async def effect(conn: Connection) -> Response:
        row = await reads.find_run(conn, request.principal.tenant_id, str(rule_id), str(run_id))
        return json_answer(_run_detail(row)) if row else request.refuse(_no_run(run_id))

    return await request.in_transaction(effect)


async def cancel_run(request: DoorRequest, rule_id: RuleId, run_id: RunId) -> Response:
    """What of the run has not begun never will; calls in flight go on."""

    async def effect(conn: Connection) -> Response:
        now: datetime = await conn.fetchval("select cs_now()")
        outcome = await reads.cancel_run(conn, request.door.outbox, request.caller(), str(rule_id), str(run_id), now)
        return request.refuse(outcome) if isinstance(outcome, Rejected) else json_answer(_run_detail(outcome))

    return await request.in_transaction(effect, key_required=False)


async def try_rule(request: DoorRequest, body: TrialBody, accept_language: AcceptLanguage = None) -> Response:
    """Try a stored rule, or words that are not saved, on one change. Nothing is done and nothing is written."""
    language = _language(accept_language)
    if (body.rule_id is None) == (body.rule is None):
        raise Problem("ValidationFailed", "Send ruleId or rule, one of them.")

    async def effect(conn: Connection) -> Response:
        tenant = request.principal.tenant_id
        now = await _now(conn)
        if body.rule is not None:
            definition, problems = await commands.judge(conn, tenant, body.rule)
            if definition is None or errors(problems):
                return request.refuse(commands.refused(problems, language))
            rule = compile_rule(tenant, "", 0, definition, zone=(await calendar_of(conn, tenant)).zone)
        else:
            stored = await store.find_rule(conn, tenant, str(body.rule_id))
            if stored is None:
                return request.refuse(commands.not_found(str(body.rule_id)))
            rule = await reads.compiled(conn, stored)
        change = _change(tenant, rule.definition, body.change, now)
        return json_answer(asking.trial_row(await asking.trial_of(conn, rule, change, now), change, language))

    return await _reading(request, effect)


async def simulate_rule(
    request: DoorRequest, rule_id: RuleId, body: SimulateBody, accept_language: AcceptLanguage = None
) -> Response:
    """Try the rule on several changes, or on its entities as they are. Nothing is done and nothing is written."""
    language = _language(accept_language)

    async def answer(conn: Connection, stored: StoredRule) -> Response:
        rule, now = await reads.compiled(conn, stored), await _now(conn)
        changes = [_change(stored.tenant_id, rule.definition, change, now) for change in body.changes]
        if not changes:
            changes = await asking.as_they_are(conn, rule, now, body.most)
        trials = list(zip(changes, await asking.trials_of(conn, rule, changes, now), strict=True))
        firing = [asking.trial_row(trial, change, language) for change, trial in trials if trial.fires]
        return json_answer({"lookedAt": len(trials), "fires": len(firing), "examples": firing[:_EXAMPLES]})

    return await _with_rule(request, rule_id, answer, reading=True)


async def explain_rule(
    request: DoorRequest, rule_id: RuleId, body: ExplainBody, accept_language: AcceptLanguage = None
) -> Response:
    """Why did the rule fire, or not, for this event? Answered with the version of the event's time."""
    language = _language(accept_language)

    async def answer(conn: Connection, stored: StoredRule) -> Response:
        change = _change(stored.tenant_id, stored.definition, body.change, await _now(conn))
        told = await asking.why(conn, stored, change, version=body.version, source=body.source, event_id=body.event_id)
        return json_answer(
            {
                **asking.trial_row(told.trial, change, language),
                "verdict": told.verdict.sentence(language),
                "version": told.version.version,
                "runId": told.run_id,
            }
        )

    return await _with_rule(request, rule_id, answer, reading=True)


async def show_graph(request: DoorRequest, rule_id: RuleId) -> Response:
    """Which rules can start which, and whether this one can come back to itself."""

    async def answer(conn: Connection, stored: StoredRule) -> Response:
        rules = await reads.all_definitions(conn, stored.tenant_id)
        edges = graph.edges_of(rules)
        told = [{"source": edge.source, "target": edge.target, "way": edge.way, "field": edge.field} for edge in edges]
        circle = graph.circles_through(stored.id, edges)
        return json_answer({"circle": circle, "edges": told, "mermaid": graph.as_mermaid(rules, edges)})

    return await _with_rule(request, rule_id, answer)


Answering = Callable[[Connection, StoredRule], Coroutine[Any, Any, Response]]


async def _with_rule(request: DoorRequest, rule_id: RuleId, answer: Answering, *, reading: bool = False) -> Response:
    async def effect(conn: Connection) -> Response:
        rule = await store.find_rule(conn, request.principal.tenant_id, str(rule_id))
        return await answer(conn, rule) if rule else request.refuse(commands.not_found(str(rule_id)))

    return await (_reading(request, effect) if reading else request.in_transaction(effect))


async def _reading(request: DoorRequest, effect: Callable[[Connection], Coroutine[Any, Any, Response]]) -> Response:
    """The effect in a transaction in which the database refuses every write."""

    async def guarded(conn: Connection) -> Response:
        await conn.execute("set transaction read only")
        return await effect(conn)

    return await request.in_transaction(guarded)


async def _switch(request: DoorRequest, rule_id: RuleId, wish: Wish, *, active: bool) -> Response:
    expected = if_match(request)

    async def effect(conn: Connection) -> Response:
        outcome = await commands.set_active(conn, request.caller(), str(rule_id), wish, active=active, expected=expected)
        return _saved(request, outcome, wish.language, expected)

    return await request.in_transaction(effect)


async def _now(conn: Connection) -> datetime:
    now: datetime = await conn.fetchval("select cs_now()")
    return now


def _change(tenant: str, told: RuleDefinition, tried: TriedChange, now: datetime) -> Change:
    return Change(
        tenant_id=tenant,
        entity_type=told.entity_type,
        entity_id=tried.entity_id,
        change_type=tried.change_type,
        old=tried.old_values,
        new=tried.new_values,
        changed_fields=tried.changed_fields,
        source="API",
        causation=(),
        occurred_at=tried.timestamp or now,
    )


def _language(accept_language: str | None) -> Language:
    return "vi" if (accept_language or "").strip().lower().startswith("vi") else "en"


def _wish(reason: str | None, accept_language: str | None) -> Wish:
    return Wish(reason, _language(accept_language))


def _saved(
    request: DoorRequest,
    outcome: Saved | Rejected,
    language: Language,
    expected: int | None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    if isinstance(outcome, Rejected):
        return request.refuse(outcome, if_match=expected)
    warnings = [problem_row(problem, language) for problem in outcome.warnings]
    body = {**_rule_view(outcome.rule, language), "warnings": warnings}
    return json_answer(body, status, {"ETag": etag(outcome.rule.version), **(headers or {})})


async def _shown_rule(_conn: Connection, rule: StoredRule) -> Response:
    return json_answer(_rule_view(rule, "en"), headers={"ETag": etag(rule.version)})


def _rule_view(rule: StoredRule, language: Language) -> dict[str, Any]:
    told = rule.statistics
    return {
        "id": rule.id,
        "version": rule.version,
        "isActive": rule.is_active,
        "rule": as_document(rule.definition),
        "conditionsShown": shown(read_conditions(rule.definition, UTC).tree, language),
        "statistics": {
            "executionCount": told.executions,
            "successCount": told.successes,
            "failureCount": told.failures,
        },
        "createdAt": rule.created_at,
        "createdBy": rule.created_by,
        "updatedAt": rule.updated_at,
        "updatedBy": rule.updated_by,
        "warnings": [],
    }


def _version_view(version: store.RuleVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "isActive": version.is_active,
        "rule": as_document(version.definition),
        "author": version.author,
        "reason": version.reason,
        "createdAt": version.created_at,
    }


_run_view = view_of(answers.RunView)


def _run_detail(row: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: json.loads(row[column]) if row[column] else None for name, column in _TEXTS}
    return {**_run_view(row), **told, "causation": list(row["causation"])}


_TEXTS = (("input", "input_data"), ("output", "output_data"), ("trace", "trace"))


def _no_run(run_id: RunId) -> Rejected:
    return Rejected("RunNotFound", f"There is no run {run_id} of this rule.")
