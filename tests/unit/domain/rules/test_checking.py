"""A rule that is saved can run: everything wrong is told at once, with its place, in two languages."""

import string
from typing import Any

import pytest

from domain.rules.checking import check_document
from domain.rules.compiling import RuleBroken, compile_rule
from domain.rules.known import KnownNames, named
from domain.rules.operators import legal_types
from domain.rules.problems import SENTENCES, WARNINGS
from schemas.rule_actions import CONFIGURATIONS
from schemas.rules import ActionType, Operator, RuleDefinition, Unit, ValueType
from tests.unit.domain.rules.writing import a_condition, a_rule, codes_of, problems_of

# The documents' own examples (S1 9.1), the webhook's header by a secret.
EXAMPLES: dict[str, dict[str, Any]] = {
    "SEND_EMAIL": {
        "templateId": 123,
        "toField": "email",
        "ccEmails": ["manager@company.com"],
        "variables": {"leadName": "{{name}}", "company": "{{company}}"},
    },
    "UPDATE_FIELD": {"fieldName": "leadStatus", "value": "CONTACTED", "valueType": "ENUM"},
    "CREATE_TASK": {
        "subject": "Follow up with {{name}}",
        "description": "Initial follow-up call for lead from {{leadSource}}",
        "activityType": "CALL",
        "priority": "HIGH",
        "dueDateOffset": 2,
        "assignToField": "assignedTo",
    },
    "ASSIGN_TO": {"assignmentType": "ROUND_ROBIN", "teamId": 5, "userIds": [10, 11, 12]},
    "CALL_WEBHOOK": {
        "url": "https://api.example.com/webhook",
        "method": "POST",
        "headers": {"Authorization": "Bearer {{secret:WEBHOOK_TOKEN}}"},
        "bodyTemplate": {"leadId": "{{id}}", "name": "{{name}}", "event": "lead_created"},
    },
    "SEND_NOTIFICATION": {
        "title": "New Lead Assigned",
        "message": "Lead {{name}} from {{company}} has been assigned to you",
        "toUsers": ["{{assignedTo}}"],
        "priority": "HIGH",
        "actionUrl": "/crm/leads/{{id}}",
    },
    "CREATE_ACTIVITY": {"subject": "Call {{name}}", "dueDateOffset": 3, "dueDateUnit": "BUSINESS_DAYS"},
    "CHANGE_STAGE": {"stage": "PROPOSAL"},
    "CHANGE_STATUS": {"status": "CONTACTED"},
    "ADD_TAG": {"tag": "hot"},
    "REMOVE_TAG": {"tag": "cold"},
    "DELAY": {"duration": 2, "unit": "HOURS"},
    "TRIGGER_WORKFLOW": {"ruleId": 7},
}


def acting(kind: str, configuration: dict[str, Any]) -> dict[str, Any]:
    return a_rule(actions=[{"actionType": kind, "configuration": configuration}])


@pytest.mark.requirement("RU-8", "RU-11", "trap-44")
@pytest.mark.parametrize("kind", list(ActionType))
def test_every_action_type_has_a_configuration_and_the_documents_examples_pass(kind: ActionType) -> None:
    assert CONFIGURATIONS.keys() == set(ActionType)
    assert codes_of(acting(kind, EXAMPLES[kind])) == {}
    refused = problems_of(acting(kind, {**EXAMPLES[kind], "surprise": 1}))
    assert [problem.pointer for problem in refused] == ["/actions/0/configuration/surprise"]


@pytest.mark.requirement("RU-9")
def test_actions_have_the_documents_defaults() -> None:
    action = RuleDefinition.model_validate(a_rule()).actions[0]
    given = (action.stop_on_failure, action.retry_count, action.retry_delay_seconds, action.is_async, action.delay_seconds)
    assert given == (False, 0, 60, False, 0)


@pytest.mark.requirement("RU-11", "trap-36")
def test_an_offset_of_a_due_date_counts_days_unless_it_says_otherwise() -> None:
    task = CONFIGURATIONS[ActionType.CREATE_TASK]
    assert task.model_validate(EXAMPLES["CREATE_TASK"]).model_dump()["due_date_unit"] is Unit.DAYS
    business = task.model_validate({**EXAMPLES["CREATE_TASK"], "dueDateUnit": "BUSINESS_DAYS"})
    assert business.model_dump()["due_date_unit"] is Unit.BUSINESS_DAYS
    assert codes_of(acting("CREATE_TASK", {**EXAMPLES["CREATE_TASK"], "dueDateOffset": -1})) == {
        "/actions/0/configuration/dueDateOffset": "shape"
    }


@pytest.mark.requirement("RU-2", "RU-3", "RU-5", "RU-6")
def test_all_problems_come_in_one_answer_each_with_its_place_and_both_languages() -> None:
    rule = a_rule(
        a_condition("a..b", "EQUALS", "x"),
        a_condition("a", "GREATER_THAN", "x", "NUMBER"),
        a_condition("a", "CONTAINS", "x", "NUMBER"),
        {"fieldName": "a", "operator": "LIKE", "value": 5},
        {"group": [a_condition("a", "IN", "x")]},
        trigger="SCHEDULED",
        cronExpression="61 * * * *",
        scheduleTimezone="Asia/Saigonn",
        triggerField="a",
        actions=[
            {"actionType": "SEND_EMAIL", "configuration": {"toField": "email", "variables": {"x": "{{env.HOME}}"}}},
            {"actionType": "ADD_TAG", "configuration": {"tag": "{{"}},
            {"actionType": "DELAY", "configuration": {"duration": 1000, "unit": "DAYS"}, "retryCount": -1},
        ],
    )
    definition, problems = check_document(rule, KnownNames())
    assert definition is None
    assert {problem.pointer: problem.code for problem in problems} == {
        "/conditions/0/fieldName": "path",
        "/conditions/1/value": "value-unfit",
        "/conditions/2/valueType": "operator-type",
        "/conditions/3/operator": "shape",
        "/conditions/4/group/0/value": "value-list",
        "/cronExpression": "cron",
        "/scheduleTimezone": "zone",
        "/triggerField": "not-for-trigger",
        "/actions/0/configuration/templateId": "shape",
        "/actions/1/configuration/tag": "template",
        "/actions/2/retryCount": "shape",
    }
    for problem in problems:
        english, vietnamese = problem.sentence("en"), problem.sentence("vi")
        assert english
        assert vietnamese != english


def test_every_sentence_exists_in_both_languages_with_the_same_params() -> None:
    for code, (english, vietnamese) in SENTENCES.items():
        if code != "shape":
            assert _names(english) == _names(vietnamese), code
    assert SENTENCES.keys() >= WARNINGS


def _names(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.requirement("RU-3", "RU-5")
@pytest.mark.parametrize("operator", list(Operator))
@pytest.mark.parametrize("kind", list(ValueType))
def test_an_operator_that_does_not_fit_the_value_type_is_refused(operator: Operator, kind: ValueType) -> None:
    found = codes_of(a_rule(a_condition("a", operator, None, kind)))
    assert ("operator-type" in found.values()) is (kind not in legal_types(operator))


@pytest.mark.requirement("RU-2")
@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"trigger": "ON_FIELD_CHANGE"}, {"/triggerField": "trigger-field"}),
        ({"trigger": "ON_DATE_FIELD"}, {"/dateField": "date-field-missing"}),
        ({"trigger": "SCHEDULED"}, {"/cronExpression": "cron-missing"}),
        ({"trigger": "SCHEDULED", "cronExpression": "0 0 30 2 *"}, {"/cronExpression": "cron"}),
        ({"trigger": "SCHEDULED", "cronExpression": "0 0 31 4,6 *"}, {"/cronExpression": "cron"}),
        ({"trigger": "SCHEDULED", "cronExpression": "0 8 * * * *"}, {"/cronExpression": "cron"}),
        ({"trigger": "SCHEDULED", "cronExpression": "0 8 * * *", "scheduleTimezone": "../etc"}, {"/scheduleTimezone": "zone"}),
        ({"trigger": "ON_CREATE", "onBecomingTrue": True}, {"/onBecomingTrue": "not-for-trigger"}),
        ({"trigger": "ON_DATE_FIELD", "dateField": "a[", "timeOfDay": "08:00"}, {"/dateField": "path"}),
        ({"trigger": "ON_DATE_FIELD", "dateField": "a", "timeOfDay": "24:00"}, {"/timeOfDay": "shape"}),
        ({"trigger": "ON_UPDATE", "actions": []}, {"/actions": "no-actions"}),
    ],
)
def test_a_trigger_has_what_it_needs_and_nothing_else(given: dict[str, Any], problem: dict[str, str]) -> None:
    assert codes_of(a_rule(**given)) == problem


@pytest.mark.requirement("RU-10", "trap-33")
def test_the_servers_environment_is_refused_with_the_reason_and_secrets_have_one_place() -> None:
    hook = EXAMPLES["CALL_WEBHOOK"]
    (problem,) = problems_of(acting("CALL_WEBHOOK", {**hook, "headers": {"Authorization": "Bearer {{env.WEBHOOK_TOKEN}}"}}))
    assert (problem.pointer, problem.code) == ("/actions/0/configuration/headers/Authorization", "template-env")
    assert "{{secret:NAME}}" in problem.sentence("en")
    for place, changed in (
        ("url", {"url": "https://h/{{secret:A}}"}),
        ("bodyTemplate/x", {"bodyTemplate": {"x": "{{secret:A}}"}}),
    ):
        assert codes_of(acting("CALL_WEBHOOK", {**hook, **changed})) == {f"/actions/0/configuration/{place}": "secret-place"}
    mail = {**EXAMPLES["SEND_EMAIL"], "ccEmails": ["{{secret:A}}@x.vn"]}
    assert codes_of(acting("SEND_EMAIL", mail)) == {"/actions/0/configuration/ccEmails/0": "secret-place"}
    known = KnownNames(secrets=frozenset({"OTHER"}))
    assert codes_of(acting("CALL_WEBHOOK", hook), known) == {"/actions/0/configuration/headers/Authorization": "secret-unknown"}


@pytest.mark.requirement("trap-33")
@pytest.mark.parametrize(
    "url", ["ftp://x/", "https://{{host}}/", "https://a.{{b}}.vn/", "https://me:pw@x/", "//x/", "https://x\n/", "file:///x"]
)
def test_a_placeholder_never_chooses_the_host_of_a_webhook(url: str) -> None:
    assert "/actions/0/configuration/url" in codes_of(acting("CALL_WEBHOOK", {**EXAMPLES["CALL_WEBHOOK"], "url": url}))


@pytest.mark.requirement("RU-10", "trap-34")
def test_unknown_names_are_refused_where_names_are_known() -> None:
    known = KnownNames(
        fields={"LEAD": frozenset({"name", "email", "company"})},
        templates={"123": frozenset({"leadName", "company", "city"})},
        users=frozenset({"10"}),
        teams=frozenset(),
        rules=frozenset(),
    )
    rule = a_rule(
        a_condition("nmae", "EQUALS", "x"),
        actions=[
            {"actionType": "SEND_EMAIL", "configuration": EXAMPLES["SEND_EMAIL"]},
            {"actionType": "SEND_EMAIL", "configuration": {"templateId": 9, "toField": "mail"}},
            {"actionType": "ASSIGN_TO", "configuration": EXAMPLES["ASSIGN_TO"]},
            {"actionType": "TRIGGER_WORKFLOW", "configuration": {"ruleId": 7}},
            {"actionType": "ADD_TAG", "configuration": {"tag": "{{id}} {{old.name}} {{old.nmae}} {{company}}"}},
        ],
    )
    assert codes_of(rule, known) == {
        "/conditions/0/fieldName": "unknown-field",
        "/actions/0/configuration/variables": "mail-variable-missing",
        "/actions/1/configuration/toField": "unknown-field",
        "/actions/1/configuration/templateId": "mail-template-unknown",
        "/actions/2/configuration/userIds/1": "user-unknown",
        "/actions/2/configuration/userIds/2": "user-unknown",
        "/actions/2/configuration/teamId": "team-unknown",
        "/actions/3/configuration/ruleId": "rule-unknown",
        "/actions/4/configuration/tag": "variable-unknown",
    }
    mentioned = named(RuleDefinition.model_validate(rule))
    assert mentioned.templates == {"123", "9"}
    assert mentioned.users == {"10", "11", "12"}
    assert mentioned.teams == {"5"}
    assert mentioned.rules == {"7"}


def test_a_group_has_a_depth_and_says_nothing_of_its_own() -> None:
    condition = a_condition("a", "IS_NULL")
    for _ in range(12):
        condition = {"group": [condition]}
    assert list(codes_of(a_rule(condition)).values()) == ["too-deep"]
    assert codes_of(a_rule({"group": [], "fieldName": "a"})) == {
        "/conditions/0": "condition-and-group",
        "/conditions/0/group": "group-empty",
    }


@pytest.mark.requirement("trap-39")
def test_a_stored_rule_that_no_longer_passes_breaks_alone_and_says_where() -> None:
    definition = RuleDefinition.model_validate(a_rule(a_condition("a", "BETWEEN", "[2, 1]", "NUMBER")))
    with pytest.raises(RuleBroken) as broken:
        compile_rule("t1", "r1", 1, definition)
    assert [problem.pointer for problem in broken.value.problems] == ["/conditions/0/value"]


@pytest.mark.parametrize("document", [None, [], "x", 5, {}, {"conditions": 5}, {"conditions": [None], "actions": [{}]}])
def test_what_is_no_rule_at_all_is_told_and_never_raises(document: object) -> None:
    definition, problems = check_document(document, KnownNames())
    assert definition is None
    assert problems
