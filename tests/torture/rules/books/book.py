"""The rules of the run, as a business person writes them: every trigger, and actions of every way to be carried out.

Titles, subjects and bodies name rule, lead and change, so that what arrives anywhere can be counted without our ids.
"""

from typing import Any

from domain.message_templates.commands import Draft, save_template
from domain.message_templates.wording import Wording
from domain.rules.commands import Saved, Wish, create_rule
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.domain.world import World, caller
from tests.integration.rules.house import action

HOT, WON, GONE, FOLLOW = "hot", "won", "gone", "follow"
WELCOME, OWNER, LOW, NIGHTLY, LATER, LOUD, ECHO = "welcome", "owner", "low", "nightly", "later", "loud", "echo"
# Runs of a rule that is limited, for each lead.
MOST_LOW = 2
# How long `later` waits before it writes.
LATER_HOURS = 2


def documents(port: int, cron: str, echo: str) -> list[dict[str, Any]]:
    """All rules but `echo`, which `loud` starts by its id. `port`: of the webhook receiver; `cron`: fires once in the run."""
    return [
        _rule(WELCOME, "ON_CREATE", _mail(WELCOME), _task(WELCOME), conditions=[_is("leadSource", "EQUALS", "WEBSITE")]),
        _rule(HOT, "ON_UPDATE", _hook(HOT, port), conditions=[_number("GREATER_THAN_OR_EQUALS", 90)], priority=10),
        _rule(
            WON,
            "ON_STAGE_CHANGE",
            _hook(WON, port),
            _task(WON),
            _note(WON),
            conditions=[_is("leadStatus", "CHANGED_TO", "WON")],
            priority=20,
        ),
        _rule(GONE, "ON_DELETE", _hook(GONE, port, stopOnFailure=True), _task(GONE), priority=30),
        _rule(OWNER, "ON_FIELD_CHANGE", _note(OWNER), triggerField="owner"),
        _rule(LOW, "ON_UPDATE", _task(LOW), conditions=[_number("LESS_THAN", 10)], maxExecutionsPerEntity=MOST_LOW),
        _rule(
            FOLLOW,
            "ON_DATE_FIELD",
            _task(FOLLOW),
            _hook(FOLLOW, port),
            dateField="followUpAt",
            conditions=[_is("leadStatus", "NOT_EQUALS", "WON")],
        ),
        _rule(NIGHTLY, "SCHEDULED", _note(NIGHTLY), cronExpression=cron, conditions=[_number("GREATER_THAN", 95)]),
        _rule(
            LATER,
            "ON_STAGE_CHANGE",
            action("DELAY", {"duration": LATER_HOURS, "unit": "HOURS"}),
            _mail(LATER),
            conditions=[_is("leadStatus", "CHANGED_TO", "QUALIFIED")],
        ),
        _rule(
            LOUD,
            "ON_FIELD_CHANGE",
            action("TRIGGER_WORKFLOW", {"ruleId": echo}),
            triggerField="score",
            conditions=[_number("CHANGED_TO", 100)],
        ),
    ]


async def write(database: ClonedDatabase, tenant: str, port: int, cron: str) -> None:
    """The rules and their messages, for one tenant."""
    world = World(database)
    try:
        async with world.worker(tenant) as conn:
            for name in (WELCOME, LATER):
                told = Wording(name + " {{id}} {{n}}", "Chào {{name}}")
                assert await save_template(conn, tenant, Draft(name, name, told), author="an") == 1
        echo = await _create(world, tenant, _rule(ECHO, "ON_CREATE", _task(ECHO), conditions=[_number("EQUALS", 100)]))
        for document in documents(port, cron, echo):
            await _create(world, tenant, document)
    finally:
        await world.close()


async def _create(world: World, tenant: str, document: dict[str, Any]) -> str:
    async with world.api(tenant) as conn:
        saved = await create_rule(conn, caller("rule-editor", tenant_id=tenant), document, Wish(), most=100)
    assert isinstance(saved, Saved), saved
    return saved.rule.id


def _rule(name: str, trigger: str, *actions: Any, **told: Any) -> dict[str, Any]:
    return {"name": name, "triggerType": trigger, "entityType": "LEAD", "actions": list(actions), **told}


def _is(field: str, operator: str, value: object, value_type: str = "STRING") -> dict[str, Any]:
    return {"fieldName": field, "operator": operator, "value": value, "valueType": value_type}


def _number(operator: str, value: int) -> dict[str, Any]:
    return _is("score", operator, value, "NUMBER")


def _hook(name: str, port: int, **attributes: Any) -> dict[str, Any]:
    body = {"rule": name, "lead": "{{id}}", "n": "{{n}}"}
    told = {"url": f"http://127.0.0.1:{port}/hook", "bodyTemplate": body}
    return action("CALL_WEBHOOK", told, retryCount=50, retryDelaySeconds=1, **attributes)


def _mail(name: str) -> dict[str, Any]:
    return action("SEND_EMAIL", {"templateId": name, "toField": "email"}, retryCount=50, retryDelaySeconds=1)


def _task(name: str) -> dict[str, Any]:
    return action("CREATE_TASK", {"subject": name + " {{id}} {{n}}", "dueDateOffset": 2})


def _note(name: str) -> dict[str, Any]:
    return action("SEND_NOTIFICATION", {"title": name + " {{id}} {{n}}", "message": "x", "toUsers": ["{{owner}}"]})
