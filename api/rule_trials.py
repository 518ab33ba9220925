"""What rules would do, over HTTP; why they did or not is in `api.rule_explanations`.

Everything here runs in a read-only transaction: nothing that it touches can be written, whatever the code does (trap 42).
"""

from datetime import datetime

from starlette.responses import Response

from api.door import DoorRequest, json_answer
from api.problems import Problem
from api.rule_access import language_of, now_of, reading, with_rule
from api.rule_inputs import AcceptLanguage, RuleId, SimulateBody, TrialBody, TriedChange
from domain.rules import asking, commands, reads, store
from domain.rules.change import Change
from domain.rules.compiling import compile_rule
from domain.rules.known_names import calendar_of
from domain.rules.problems import errors
from domain.rules.store import StoredRule
from runtime.sql import Connection
from schemas.rules import RuleDefinition

_EXAMPLES = 20


async def try_rule(request: DoorRequest, body: TrialBody, accept_language: AcceptLanguage = None) -> Response:
    """Try a stored rule, or words that are not saved, on one change. Nothing is done and nothing is written."""
    language = language_of(accept_language)
    if (body.rule_id is None) == (body.rule is None):
        raise Problem("ValidationFailed", "Send ruleId or rule, one of them.")

    async def effect(conn: Connection) -> Response:
        tenant = request.principal.tenant_id
        now = await now_of(conn)
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
        change = change_tried(tenant, rule.definition, body.change, now)
        return json_answer(asking.trial_row(await asking.trial_of(conn, rule, change, now), change, language))

    return await reading(request, effect)


async def simulate_rule(
    request: DoorRequest, rule_id: RuleId, body: SimulateBody, accept_language: AcceptLanguage = None
) -> Response:
    """Try the rule on several changes, or on its entities as they are. Nothing is done and nothing is written."""
    language = language_of(accept_language)

    async def answer(conn: Connection, stored: StoredRule) -> Response:
        rule, now = await reads.compiled(conn, stored), await now_of(conn)
        changes = [change_tried(stored.tenant_id, rule.definition, change, now) for change in body.changes]
        if not changes:
            changes = await asking.as_they_are(conn, rule, now, body.most)
        trials = list(zip(changes, await asking.trials_of(conn, rule, changes, now), strict=True))
        firing = [asking.trial_row(trial, change, language) for change, trial in trials if trial.fires]
        return json_answer({"lookedAt": len(trials), "fires": len(firing), "examples": firing[:_EXAMPLES]})

    return await with_rule(request, rule_id, answer, read_only=True)


def change_tried(tenant: str, told: RuleDefinition, tried: TriedChange, now: datetime) -> Change:
    """The change as an event of the rule's entity type would tell it."""
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
