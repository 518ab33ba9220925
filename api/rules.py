"""Rules over HTTP under the documents' paths (RU-14): making, reading, changing and switching them, and their versions.

Their runs are in `api.rule_runs`, what they would do in `api.rule_trials`.
"""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from starlette.responses import Response

from api.conditions import etag, if_match, require_if_match
from api.door import DoorRequest, json_answer
from api.rule_access import language_of, with_rule
from api.rule_inputs import AcceptLanguage, IsActive, OfEntityType, Page, RuleBody, RuleId, Size, WhyBody
from domain.rules import commands, graph, reads, store
from domain.rules.commands import Saved, Wish, as_document, problem_row
from domain.rules.conditions import read_conditions
from domain.rules.problems import Language
from domain.rules.showing import shown
from domain.rules.store import StoredRule
from runtime.sql import Connection
from schemas.errors import Rejected


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
    return await with_rule(request, rule_id, _shown_rule)


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


async def show_graph(request: DoorRequest, rule_id: RuleId) -> Response:
    """Which rules can start which, and whether this one can come back to itself."""

    async def answer(conn: Connection, stored: StoredRule) -> Response:
        rules = await reads.all_definitions(conn, stored.tenant_id)
        edges = graph.edges_of(rules)
        told = [{"source": edge.source, "target": edge.target, "way": edge.way, "field": edge.field} for edge in edges]
        circle = graph.circles_through(stored.id, edges)
        return json_answer({"circle": circle, "edges": told, "mermaid": graph.as_mermaid(rules, edges)})

    return await with_rule(request, rule_id, answer)


async def _switch(request: DoorRequest, rule_id: RuleId, wish: Wish, *, active: bool) -> Response:
    expected = if_match(request)

    async def effect(conn: Connection) -> Response:
        outcome = await commands.set_active(conn, request.caller(), str(rule_id), wish, active=active, expected=expected)
        return _saved(request, outcome, wish.language, expected)

    return await request.in_transaction(effect)


def _wish(reason: str | None, accept_language: str | None) -> Wish:
    return Wish(reason, language_of(accept_language))


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
