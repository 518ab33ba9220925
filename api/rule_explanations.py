"""Why a rule fired or not, over HTTP: for an event that is named or pasted, and for a run.

A named event is looked for in Kafka, outside any transaction: first it is written down who looks and why, and what was found
is judged in a read-only transaction, unless its subject was erased.
"""

from typing import Any

from starlette.responses import Response

from api.door import DoorRequest, json_answer
from api.reasons import reason_of
from api.rule_access import language_of, now_of, with_rule
from api.rule_inputs import AcceptLanguage, ExplainBody, RuleId
from api.rule_runs import no_run
from api.rule_trials import change_tried
from api.transactions import transaction
from domain.rules import asking, commands, reads, sought, store
from domain.rules.problems import Language
from domain.rules.sought import TOPIC, Sought, Told, told_by
from domain.rules.store import StoredRule
from runtime.sql import Connection
from runtime.topic_search import Bounds, Search, search


async def explain_rule(
    request: DoorRequest, rule_id: RuleId, body: ExplainBody, accept_language: AcceptLanguage = None
) -> Response:
    """Why did the rule fire, or not, for this event? Answered with the version of the event's time. A run is explained by
    what it has kept."""
    language = language_of(accept_language)
    if body.run_id is not None:
        return await _explain_run(request, rule_id, body, language)
    if body.change is not None:
        return await _explain_pasted(request, rule_id, body, language)
    return await _explain_named(request, rule_id, body, language)


async def _explain_run(request: DoorRequest, rule_id: RuleId, body: ExplainBody, language: Language) -> Response:
    assert body.run_id is not None

    async def answer(conn: Connection, stored: StoredRule) -> Response:
        run = await reads.find_run(conn, stored.tenant_id, stored.id, str(body.run_id))
        return json_answer(await asking.why_run(conn, stored, run, language)) if run else request.refuse(no_run(body.run_id))

    return await with_rule(request, rule_id, answer, read_only=True)


async def _explain_pasted(request: DoorRequest, rule_id: RuleId, body: ExplainBody, language: Language) -> Response:
    tried = body.change
    assert tried is not None

    async def answer(conn: Connection, stored: StoredRule) -> Response:
        change = change_tried(stored.tenant_id, stored.definition, tried, await now_of(conn))
        told = await asking.why(conn, stored, change, version=body.version, source=body.source, event_id=body.event_id)
        return json_answer(asking.answer_row(told, change, language))

    return await with_rule(request, rule_id, answer, read_only=True)


async def _explain_named(request: DoorRequest, rule_id: RuleId, body: ExplainBody, language: Language) -> Response:
    reason, caller = reason_of(request), request.caller()
    async with transaction(request.door.pool, caller.tenant_id) as conn:
        rule = await store.find_rule(conn, caller.tenant_id, str(rule_id))
        if rule is None:
            return request.refuse(commands.not_found(str(rule_id)))
        wanted = _sought(rule, body)
        await sought.begin(conn, caller, rule.id, wanted, reason)
        window = await sought.window(conn, wanted)
    found = await _look(request, wanted, window)
    if found.found is None:
        return request.refuse(sought.not_found(wanted, found.looked_at, complete=found.complete))
    event = found.found

    async def answer(conn: Connection, stored: StoredRule) -> Response:
        if refused := await sought.erased(conn, event):
            return request.refuse(refused)
        told = await asking.why_named(conn, stored, event, version=body.version)
        return json_answer(asking.answer_row(told, event.change, language))

    return await with_rule(request, rule_id, answer, read_only=True)


def _sought(rule: StoredRule, body: ExplainBody) -> Sought:
    assert body.event_id is not None
    about = (body.event_id, body.source, body.entity_id, body.at)
    return Sought(rule.tenant_id, rule.definition.entity_type, *about)


async def _look(request: DoorRequest, wanted: Sought, window: Any) -> Search[Told]:
    limits, (since, until) = request.door.settings.rules, window
    bounds = Bounds(limits.search_records, limits.search_seconds, wanted.key, since, until)

    def accept(record: Any) -> Told | None:
        return told_by(record.value, record.headers, record.timestamp, wanted)

    async with request.door.searching:
        return await search(request.door.settings, TOPIC, accept, bounds)
