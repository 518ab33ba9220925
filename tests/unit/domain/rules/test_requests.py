"""What each action asks for, filled with the values of its event."""

import json
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain.message_templates.wording import Wording
from domain.rules.calendar import Calendar, after
from domain.rules.change import Change
from domain.rules.requests import MAKERS, Request, Subject, Unmakeable, request_of
from schemas.rule_actions import CONFIGURATIONS
from schemas.rules import ActionSpec, ActionType, Unit

NOW = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
WELCOME = Wording("Xin chào {{n}}", "{{n}} of {{company}}", "<p>{{company}}</p>")
LEAD = {"name": "Lê Văn A", "email": "a@example.com", "company": "Công ty <B>", "assignedTo": "u7", "owners": ["u1", "u2"]}


def subject(**values: Any) -> Subject:
    change = Change("bank-a", "LEAD", "42", "CREATE", None, {**LEAD, **values}, (), "API", (), NOW)
    return Subject("rule-1", change, NOW, Calendar(), {"123": WELCOME})


def asked(kind: ActionType, configuration: dict[str, Any], about: Subject | None = None) -> Request:
    request = made(kind, configuration, about)
    assert isinstance(request, Request)
    return request


def made(kind: ActionType, configuration: dict[str, Any], about: Subject | None = None) -> Request | Unmakeable:
    spec = ActionSpec.model_validate({"actionType": kind, "configuration": configuration})
    return request_of(spec, about or subject())


@pytest.mark.requirement("RU-8", "trap-44")
def test_every_action_type_has_somebody_who_makes_its_request() -> None:
    assert set(MAKERS) == set(CONFIGURATIONS.values())


@pytest.mark.requirement("RU-11")
def test_a_mail_goes_to_the_address_in_a_field() -> None:
    told = {"templateId": 123, "toField": "email", "ccEmails": ["{{manager}}", "m@example.com"], "variables": {"n": "{{name}}"}}
    body = asked(ActionType.SEND_EMAIL, told).body
    assert (body["to"], body["cc"], body["subject"]) == (["a@example.com"], ["m@example.com"], "Xin chào Lê Văn A")
    assert (body["text"], body["html"]) == ("Lê Văn A of Công ty <B>", "<p>Công ty &lt;B&gt;</p>")


def test_a_mail_without_its_template_is_not_sent() -> None:
    assert made(ActionType.SEND_EMAIL, {"templateId": 7, "toField": "email"}) == Unmakeable("no-template")


@pytest.mark.parametrize(("value", "code"), [(None, "no-recipient"), ("nobody", "bad-recipient"), (7, "bad-recipient")])
def test_a_mail_without_a_recipient_fails_with_a_code(value: object, code: str) -> None:
    assert made(ActionType.SEND_EMAIL, {"templateId": 123, "toField": "email"}, subject(email=value)) == Unmakeable(code)


@pytest.mark.requirement("trap-34")
def test_a_header_that_a_value_would_break_is_not_sent() -> None:
    told = {"url": "https://example.com/h", "headers": {"X-Name": "{{name}}"}}
    assert made(ActionType.CALL_WEBHOOK, told, subject(name="a\r\nBcc: b")) == Unmakeable("control-character")


@pytest.mark.requirement("RU-10", "RU-11", "trap-34")
def test_a_webhook_keeps_json_types_and_escapes_its_address() -> None:
    told = {
        "url": "https://example.com/leads/{{company}}",
        "bodyTemplate": {"leadId": "{{id}}", "value": "{{worth}}", "no": "{{x}}"},
    }
    request = asked(ActionType.CALL_WEBHOOK, told, subject(worth=75_000))
    assert request.body["url"] == "https://example.com/leads/C%C3%B4ng%20ty%20%3CB%3E"
    assert json.loads(request.body["body"]) == {"leadId": "42", "value": 75_000, "no": None}
    assert request.endpoint == "example.com:443"


@pytest.mark.requirement("RU-11")
def test_a_notification_reaches_each_named_user_once() -> None:
    told = {"title": "New", "message": "{{name}}", "toUsers": ["{{owners}}", "{{assignedTo}}", "u1", "{{nobody}}"]}
    assert asked(ActionType.SEND_NOTIFICATION, told).body["toUsers"] == ["u1", "u2", "u7"]


@pytest.mark.requirement("RU-11", "trap-36")
def test_a_due_date_without_unit_counts_days() -> None:
    told = {"subject": "Follow up with {{name}}", "dueDateOffset": 2, "assignToField": "assignedTo"}
    body = asked(ActionType.CREATE_TASK, told).body
    assert (body["subject"], body["dueAt"], body["assigneeId"]) == (
        "Follow up with Lê Văn A",
        "2026-12-03T08:30:00+00:00",
        "u7",
    )


def test_business_days_leave_out_weekends_and_holidays() -> None:
    calendar = Calendar(ZoneInfo("Asia/Ho_Chi_Minh"), frozenset({date(2026, 12, 7)}))
    friday = datetime(2026, 12, 4, 3, tzinfo=UTC)
    assert after(friday, 2, Unit.BUSINESS_DAYS, calendar) == datetime(2026, 12, 9, 3, tzinfo=UTC)
    assert after(friday, -1, Unit.BUSINESS_DAYS, calendar) == datetime(2026, 12, 3, 3, tzinfo=UTC)


def test_days_keep_the_time_of_day_over_a_clock_change_and_hours_do_not() -> None:
    berlin = Calendar(ZoneInfo("Europe/Berlin"))
    before = datetime(2026, 10, 24, 10, tzinfo=UTC)
    assert after(before, 1, Unit.DAYS, berlin) == datetime(2026, 10, 25, 11, tzinfo=UTC)
    assert after(before, 24, Unit.HOURS, berlin) == datetime(2026, 10, 25, 10, tzinfo=UTC)
